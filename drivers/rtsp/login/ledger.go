// Package login prevents a camera from locking the account: it counts refused log-ins
// in a file, so that the count survives a restart of the child or the agent, and
// returns when the next log-in is permitted.
//
// An attempt is recorded before the password is sent, and removed if the answer was not
// a refusal: a process that ends in between counts as refused.
package login

import (
	"bytes"
	"cmp"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"meltwatch/durable"
)

const (
	// At most MaxRefusals log-ins are refused within Window. Cameras lock an account
	// after five in half an hour, and each further attempt prolongs the lock.
	MaxRefusals = 3
	Window      = 30 * time.Minute

	iterations = 10_000 // of the fingerprint, which is stored on disk
	maxFile    = 1 << 16
)

// minWaits are the least waits after each refusal before the last permitted one.
var minWaits = [MaxRefusals - 1]time.Duration{10 * time.Second, time.Minute}

// Account identifies a log-in. A change of any of the three starts a new count.
type Account struct{ URL, Username, Password string }

// Ledger is the file of refused log-ins. Its methods may be called concurrently. With
// several processes the last write wins, and the error is at most their number.
type Ledger struct {
	path string
	now  func() instant

	mu   sync.Mutex
	last record
	// derived is the account of last.Account.
	derived Account
}

// record is the file's content.
type record struct {
	Salt    []byte    `json:"salt"`
	Account []byte    `json:"account"`
	Refused []instant `json:"refused"`
}

// Open returns the ledger of a file, which it does not read yet. With an empty path the
// count is kept only in memory.
func Open(path string) *Ledger { return &Ledger{path: path, now: now} }

// OpenAt is Open with a clock that is ahead, for tests of later log-ins.
func OpenAt(path string, ahead time.Duration) *Ledger {
	return &Ledger{path: path, now: func() instant {
		i := now()
		return instant{i.At.Add(ahead), i.Boot, i.Uptime + ahead}
	}}
}

// Now returns the time of the ledger's clock.
func (l *Ledger) Now() time.Time { return l.now().At }

// Next returns when the account may log in next, now or earlier for at once, and the
// number of refusals within Window.
func (l *Ledger) Next(a Account) (at time.Time, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.load(a)
	moment := l.now()
	ages := l.ages(moment)
	if len(ages) == 0 {
		return moment.At, 0
	}
	wait := Window - ages[0] // the oldest
	if len(ages) < MaxRefusals {
		wait = minWaits[len(ages)-1] - ages[len(ages)-1]
	}
	return moment.At.Add(wait), len(ages)
}

// ages are the ages of the refusals within Window, the oldest first.
func (l *Ledger) ages(moment instant) []time.Duration {
	var ages []time.Duration
	for _, one := range l.last.Refused {
		if age := moment.since(one); age < Window {
			ages = append(ages, age)
		}
	}
	slices.SortFunc(ages, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	return ages
}

// Attempt records that the password is about to be sent. After an error of the file the
// attempt counts only in this process.
func (l *Ledger) Attempt(a Account) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.load(a)
	moment := l.now()
	l.last.Refused = slices.DeleteFunc(l.last.Refused, func(one instant) bool { return moment.since(one) >= Window })
	l.last.Refused = append(l.last.Refused, moment)
	if len(l.last.Refused) > MaxRefusals {
		l.last.Refused = l.last.Refused[len(l.last.Refused)-MaxRefusals:]
	}
	return l.save()
}

// Accepted removes every attempt, because the camera accepted the account.
func (l *Ledger) Accepted(a Account) error {
	return l.update(a, func() { l.last.Refused = nil })
}

// Unanswered removes the last attempt, because the camera did not refuse it.
func (l *Ledger) Unanswered(a Account) error {
	return l.update(a, func() { l.last.Refused = l.last.Refused[:max(len(l.last.Refused)-1, 0)] })
}

func (l *Ledger) update(a Account, how func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.load(a)
	how()
	return l.save()
}

// load reads the account's count from the file. If the file is missing, damaged or of
// another account, this process's own count remains.
func (l *Ledger) load(a Account) {
	if found, err := l.read(); err == nil {
		if a == l.derived && bytes.Equal(found.Salt, l.last.Salt) && bytes.Equal(found.Account, l.last.Account) || found.of(a) {
			l.last, l.derived = found, a
			l.rebase()
			return
		}
	}
	if a == l.derived {
		return
	}
	l.last = record{Salt: salt()}
	l.last.Account = l.last.fingerprint(a)
	l.derived = a
}

// rebase converts the refusals of an earlier boot to this boot's uptime, so that a box
// whose clock is behind waits for Window and not until the clock catches up.
func (l *Ledger) rebase() {
	moment, carried := l.now(), false
	for i, one := range l.last.Refused {
		if one.Boot != moment.Boot {
			age := moment.since(one)
			l.last.Refused[i] = instant{moment.At.Add(-age), moment.Boot, moment.Uptime - age}
			carried = true
		}
	}
	if carried {
		// If the file cannot be written, the next load converts them again.
		_ = l.save()
	}
}

var errInvalidFile = errors.New("invalid file of log-ins")

func (l *Ledger) read() (record, error) {
	if l.path == "" {
		return record{}, fs.ErrNotExist
	}
	info, err := os.Lstat(l.path)
	if err != nil {
		return record{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return record{}, errInvalidFile
	}
	text, err := os.ReadFile(l.path)
	if err != nil {
		return record{}, err
	}
	return decode(text)
}

func decode(text []byte) (found record, err error) {
	if err := json.Unmarshal(text, &found); err != nil {
		return record{}, err
	}
	if len(found.Salt) == 0 {
		return record{}, errInvalidFile
	}
	return found, nil
}

// save writes the file; a power cut leaves the old content or the new.
func (l *Ledger) save() error {
	if l.path == "" {
		return nil
	}
	text, err := json.Marshal(l.last)
	if err != nil {
		return fmt.Errorf("encode refused log-ins: %w", err)
	}
	if err := durable.WriteFile(l.path, text); err != nil {
		return fmt.Errorf("save refused log-ins: %w", err)
	}
	return nil
}

func salt() []byte {
	bytes := make([]byte, 16)
	_, _ = rand.Read(bytes) // never fails, by its documentation
	return bytes
}

func (r record) of(a Account) bool { return bytes.Equal(r.Account, r.fingerprint(a)) }

// fingerprint identifies the account without revealing its password.
func (r record) fingerprint(a Account) []byte {
	text, err := json.Marshal(a)
	if err != nil {
		return nil // impossible: the account holds only strings
	}
	key, err := pbkdf2.Key(sha256.New, string(text), r.Salt, iterations, 16)
	if err != nil {
		return nil // impossible: the length is valid
	}
	return key
}
