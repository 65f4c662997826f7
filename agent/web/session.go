package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

const (
	cookieName = "meltwatch_session"
	lasts      = 12 * time.Hour
	// maxSessions bounds who is logged in; the oldest is logged out.
	maxSessions = 64
	// maxTries bounds wrong passwords a minute, of all clients together: each costs the
	// box a tenth of a second.
	maxTries    = 6
	maxPassword = 72 // bytes, bcrypt's own bound
	maxUser     = 64 // bytes
)

type session struct {
	name  string
	began time.Time
}

// sessions are those who are logged in.
type sessions struct {
	hash []byte

	// trying is held while a password is compared, which takes a tenth of a second of a
	// core: one at a time, so that many clients neither take the box nor more tries.
	trying chan struct{}

	mu     sync.Mutex
	active map[string]session
	wrong  []time.Time
}

func newSessions(hash []byte) *sessions {
	return &sessions{hash: hash, active: map[string]session{}, trying: make(chan struct{}, 1)}
}

func (s *sessions) enabled() bool { return len(s.hash) > 0 }

// of returns who makes a request.
func (s *sessions) of(r *http.Request) (name string, ok bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.active[cookie.Value]
	if ok && time.Since(one.began) > lasts {
		delete(s.active, cookie.Value)
		return "", false
	}
	return one.name, ok
}

// tooMany reports whether no further password is tried in this minute.
func (s *sessions) tooMany() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	recent := s.wrong[:0]
	for _, t := range s.wrong {
		if time.Since(t) < time.Minute {
			recent = append(recent, t)
		}
	}
	s.wrong = recent
	return len(s.wrong) >= maxTries
}

func (s *sessions) failed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, time.Now())
}

var errTooMany, errWrong = errors.New("too many wrong passwords: wait a minute"), errors.New("wrong password")

// try compares a password, unless too many were wrong or the client goes first.
func (s *sessions) try(ctx context.Context, password string) error {
	select {
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.tooMany() {
		return errTooMany
	}
	if len(password) > maxPassword || bcrypt.CompareHashAndPassword(s.hash, []byte(password)) != nil {
		s.failed()
		return errWrong
	}
	return nil
}

func (s *sessions) begin(name string) (token string) {
	token = rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.active) >= maxSessions {
		oldest := ""
		for id, one := range s.active {
			if oldest == "" || one.began.Before(s.active[oldest].began) {
				oldest = id
			}
		}
		delete(s.active, oldest)
	}
	s.active[token] = session{name, time.Now()}
	return token
}

func (s *sessions) end(r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.active, cookie.Value)
	}
}

// login begins a session for {"name", "password"}.
func (p *page) login(w http.ResponseWriter, r *http.Request) {
	var given struct{ Name, Password string }
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	switch {
	case !p.sessions.enabled():
		refuse(w, http.StatusForbidden, "nobody can log in: set web.password_file on the box")
		return
	case json.NewDecoder(r.Body).Decode(&given) != nil:
		refuse(w, http.StatusBadRequest, "send {\"name\", \"password\"}")
		return
	case !validUser(given.Name):
		refuse(w, http.StatusBadRequest, "name: say who you are, in at most 64 bytes")
		return
	}
	switch err := p.sessions.try(r.Context(), given.Password); {
	case errors.Is(err, errTooMany):
		refuse(w, http.StatusTooManyRequests, err.Error())
		return
	case err != nil:
		p.log.Warn("wrong password on the page")
		refuse(w, http.StatusForbidden, err.Error())
		return
	}
	p.sessions.end(r) // another person at the same browser
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: p.sessions.begin(given.Name), Path: "/", MaxAge: int(lasts.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: encrypted(r),
	})
	answer(w, map[string]string{"name": given.Name})
}

// encrypted reports whether the browser speaks TLS, to a reverse proxy: the page itself does
// not. A client that claims it wrongly only loses its own cookie.
func encrypted(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func (p *page) logout(w http.ResponseWriter, r *http.Request) {
	p.sessions.end(r)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	answer(w, struct{}{})
}

func validUser(name string) bool {
	return name != "" && len(name) <= maxUser && utf8.ValidString(name) && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// CheckHash refuses what is not bcrypt's hash, such as a plain password.
func CheckHash(hash []byte) error {
	if _, err := bcrypt.Cost(hash); err != nil {
		return errors.New("the file does not hold a hash: make one with meltwatch password")
	}
	return nil
}

// Hash returns bcrypt's hash of a password, for web.password_file.
func Hash(password string) ([]byte, error) {
	return bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
}
