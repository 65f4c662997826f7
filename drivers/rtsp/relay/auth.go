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

// authenticator answers the newest challenge of one session and records the outcome of
// its log-in in the ledger.
type authenticator struct {
	account login.Account
	logins  *login.Ledger
	survey  *Survey

	mu           sync.Mutex
	challenge    digest      // the camera's last challenge
	answerable   bool        // the challenge can be answered
	answered     int         // answers to it so far
	stale        bool        // it only replaces an expired one
	passwordSent bool        // the password was sent
	method       base.Method // of the last request
}

func accountOf(s drivers.CameraSettings) login.Account {
	return login.Account{URL: s.URL, Username: s.Username, Password: s.Password}
}

// checkLoginBudget refuses a log-in before the ledger permits the next one.
func checkLoginBudget(s drivers.CameraSettings, logins *login.Ledger) error {
	if s.Username == "" {
		return nil
	}
	if at, times := logins.Next(accountOf(s)); times > 0 && at.After(logins.Now()) {
		return refusedLogin(times, at)
	}
	return nil
}

// request is called for each request that is about to be sent.
func (a *authenticator) request(r *base.Request) {
	a.mu.Lock()
	a.method = r.Method
	a.mu.Unlock()
	if _, with := r.Header["Authorization"]; !with {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.passwordSent {
		a.passwordSent = true
		// On a full disk the count in memory remains: the camera matters more than the file.
		_ = a.logins.Attempt(a.account)
	}
	// The library always answers the first challenge; some cameras expect an answer to
	// the newest.
	if a.answerable {
		a.answered++
		uri := r.URL.CloneWithoutCredentials().String()
		r.Header["Authorization"] = base.HeaderValue{a.challenge.answer(a.account.Username, a.account.Password, string(r.Method), uri, a.answered)}
	}
}

// response is called for each response, before anything is made of it.
func (a *authenticator) response(r *base.Response) {
	offers := challenges(r.Header["WWW-Authenticate"])
	if rate := describedRate(r.Body); rate > 0 {
		a.survey.update(func(r *drivers.StreamReport) { r.Announced = rate })
	}
	sanitize(r)
	normalize(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	if optionsUnsupported(a.method, r.StatusCode) {
		r.StatusCode = base.StatusOK
	}
	if r.StatusCode != base.StatusUnauthorized {
		return
	}
	a.survey.offered(offers)
	a.challenge, a.answerable = bestDigest(offers)
	a.answered, a.stale = 0, false
	for _, offer := range offers {
		a.stale = a.stale || strings.EqualFold(offer.params["stale"], "true")
	}
}

// retryStale does the work, and repeats it once if the camera refused only an expired
// challenge.
func (a *authenticator) retryStale(work func() error) error {
	err := work()
	a.mu.Lock()
	again := unauthorized(err) && a.stale && a.passwordSent
	a.mu.Unlock()
	if again {
		err = work()
	}
	return err
}

// recordOutcome records the outcome of the session's log-in in the ledger, and explains
// a refusal. accepted is set if the camera has already accepted the log-in.
func (a *authenticator) recordOutcome(outcome error, accepted bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var status liberrors.ErrClientBadStatusCode
	switch {
	case !a.passwordSent:
	case unauthorized(outcome):
		a.survey.update(func(r *drivers.StreamReport) { r.LoginRefused = true })
		if at, times := a.logins.Next(a.account); times > 0 {
			return errors.Join(outcome, refusedLogin(times, at))
		}
	case outcome == nil || accepted || errors.As(outcome, &status):
		a.survey.update(func(r *drivers.StreamReport) { r.LoggedIn = true })
		_ = a.logins.Accepted(a.account) // as above
	default:
		_ = a.logins.Unanswered(a.account)
	}
	return outcome
}

func unauthorized(err error) bool {
	var status liberrors.ErrClientBadStatusCode
	return errors.As(err, &status) && status.Code == base.StatusUnauthorized
}
