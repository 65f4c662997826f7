package relay

import (
	"errors"
	"strings"
	"sync"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/login"
)

// account watches one session's log-in: it answers the newest challenge, and keeps
// the ledger true to what comes of it.
type account struct {
	who    login.Account
	logins *login.Ledger

	mu       sync.Mutex
	offer    digest      // the camera's last challenge
	digests  bool        // it can be answered
	answered int         // requests with an answer to it
	stale    bool        // it only replaced an old one
	tried    bool        // the password was sent
	method   base.Method // of the last request
}

func accountOf(s drivers.CameraSettings) login.Account {
	return login.Account{URL: s.URL, Username: s.Username, Password: s.Password}
}

// permitted is the refusal to log in while the account must rest.
func permitted(s drivers.CameraSettings, logins *login.Ledger) error {
	if s.Username == "" {
		return nil
	}
	if at, times := logins.Next(accountOf(s)); times > 0 && at.After(logins.Now()) {
		return refusedLogin(times, at)
	}
	return nil
}

// request is called for each request that is about to be sent.
func (a *account) request(r *base.Request) {
	a.mu.Lock()
	a.method = r.Method
	a.mu.Unlock()
	if _, with := r.Header["Authorization"]; !with {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.tried {
		a.tried = true
		// A full disk must not blind the furnace; the count in memory stands.
		_ = a.logins.Attempt(a.who)
	}
	// The library answers the first challenge for ever; some cameras want each answered.
	if a.digests {
		a.answered++
		uri := r.URL.CloneWithoutCredentials().String()
		r.Header["Authorization"] = base.HeaderValue{a.offer.answer(a.who.Username, a.who.Password, string(r.Method), uri, a.answered)}
	}
}

// response is called for each response, before anything is made of it.
func (a *account) response(r *base.Response) {
	offers := challenges(r.Header["WWW-Authenticate"])
	sift(r)
	tidy(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	if dispensable(a.method, r.StatusCode) {
		r.StatusCode = base.StatusOK
	}
	if r.StatusCode != base.StatusUnauthorized {
		return
	}
	a.offer, a.digests = bestDigest(offers)
	a.answered, a.stale = 0, false
	for _, offer := range offers {
		a.stale = a.stale || strings.EqualFold(offer.params["stale"], "true")
	}
}

// renewed does the work, and once more where the camera refused an old challenge
// only.
func (a *account) renewed(work func() error) error {
	err := work()
	a.mu.Lock()
	again := unauthorized(err) && a.stale && a.tried
	a.mu.Unlock()
	if again {
		err = work()
	}
	return err
}

// settle takes down what came of the session's log-in, and puts a refusal into
// words. Accepted says that the camera let the account in before the outcome.
func (a *account) settle(outcome error, accepted bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var status liberrors.ErrClientBadStatusCode
	switch {
	case !a.tried:
	case unauthorized(outcome):
		if at, times := a.logins.Next(a.who); times > 0 {
			return errors.Join(outcome, refusedLogin(times, at))
		}
	case outcome == nil || accepted || errors.As(outcome, &status):
		_ = a.logins.Accepted(a.who) // as above
	default:
		_ = a.logins.Unanswered(a.who)
	}
	return outcome
}

func unauthorized(err error) bool {
	var status liberrors.ErrClientBadStatusCode
	return errors.As(err, &status) && status.Code == base.StatusUnauthorized
}
