package web

import (
	"bytes"
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

// Sessions are those who are logged in. They outlive a server, so that a change that
// restarts the page logs nobody out.
type Sessions struct {
	// trying is held while a password is compared, which takes a tenth of a second of a
	// core: one at a time, so that many clients neither take the box nor more tries.
	trying chan struct{}
	// reading is held while the password is read anew, so that what was read last counts.
	reading sync.Mutex

	mu     sync.Mutex
	hash   []byte                 // empty: nobody can log in
	reread func() ([]byte, error) // nil for a hash that does not change
	failed string                 // why the hash was not read last, or empty
	active map[string]session
	wrong  []time.Time
}

// NewSessions returns the sessions of a server that has not started yet: nobody's.
func NewSessions() *Sessions { return newSessions(nil) }

func newSessions(hash []byte) *Sessions {
	return &Sessions{hash: hash, active: map[string]session{}, trying: make(chan struct{}, 1)}
}

// use takes a password's hash, and how it is read anew.
func (s *Sessions) use(hash []byte, reread func() ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reread, s.failed = reread, ""
	s.take(hash)
}

// take takes the hash that counts from now on. Sessions of another password end. The lock
// is held.
func (s *Sessions) take(hash []byte) {
	if !bytes.Equal(hash, s.hash) {
		s.hash = hash
		clear(s.active)
	}
}

// refresh reads the password anew. The error is why it cannot be read: nobody is or gets
// logged in then.
func (s *Sessions) refresh() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.Lock()
	reread := s.reread
	s.mu.Unlock()
	if reread == nil {
		return nil
	}
	hash, err := reread()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.take(nil)
		s.failed = err.Error()
		return err
	}
	s.failed = ""
	s.take(hash)
	return nil
}

func (s *Sessions) enabled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hash) > 0
}

// possible reports whether a password may be given: there is one, or there may be again.
func (s *Sessions) possible() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hash) > 0 || s.failed != ""
}

// of returns who makes a request.
func (s *Sessions) of(r *http.Request) (name string, ok bool) {
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
func (s *Sessions) tooMany() bool {
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

func (s *Sessions) wasWrong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, time.Now())
}

var (
	errTooMany = errors.New("too many wrong passwords: wait a minute")
	errWrong   = errors.New("wrong password")
	errUnread  = errors.New("nobody can log in: web.password_file is missing or invalid on the box; meltwatch check says why")
)

// try begins a session with a password, unless it or too many before it were wrong, or the
// client goes first.
func (s *Sessions) try(ctx context.Context, name, password string) (token string, err error) {
	select {
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if s.tooMany() {
		return "", errTooMany
	}
	if s.refresh() != nil {
		return "", errUnread
	}
	s.mu.Lock()
	hash := s.hash
	s.mu.Unlock()
	if len(password) > maxPassword || bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil {
		s.wasWrong()
		return "", errWrong
	}
	token, ok := s.begin(name, hash)
	if !ok {
		return "", errWrong
	}
	return token, nil
}

// begin begins a session with the password that was compared. It reports false if that is
// no longer the password.
func (s *Sessions) begin(name string, hash []byte) (token string, ok bool) {
	token = rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.Equal(hash, s.hash) {
		return "", false
	}
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
	return token, true
}

func (s *Sessions) end(r *http.Request) {
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
	case !p.sessions.possible():
		refuse(w, http.StatusForbidden, "nobody can log in: set web.password_file on the box")
		return
	case json.NewDecoder(r.Body).Decode(&given) != nil:
		refuse(w, http.StatusBadRequest, "send {\"name\", \"password\"}")
		return
	case !validUser(given.Name):
		refuse(w, http.StatusBadRequest, "name: say who you are, in at most 64 bytes")
		return
	}
	switch token, err := p.sessions.try(r.Context(), given.Name, given.Password); {
	case errors.Is(err, errTooMany):
		refuse(w, http.StatusTooManyRequests, err.Error())
	case errors.Is(err, errUnread):
		refuse(w, http.StatusForbidden, err.Error())
	case err != nil:
		p.log.Warn("wrong password on the page")
		refuse(w, http.StatusForbidden, err.Error())
	default:
		p.sessions.end(r) // another person at the same browser
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: token, Path: "/", MaxAge: int(lasts.Seconds()),
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: encrypted(r),
		})
		answer(w, map[string]string{"name": given.Name})
	}
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
