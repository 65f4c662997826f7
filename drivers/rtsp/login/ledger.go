// Package login keeps a camera's account from being locked: it counts refused
// log-ins in a file, so that neither a new child nor a new agent starts from
// nothing, and says when the next one may be tried.
//
// An attempt is noted before the password is sent, and taken back when the
// answer was no refusal: a process that dies between the two counts as refused.
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
	// MaxRefusals refused log-ins within Window are made. Cameras lock an account after
	// five in half an hour, and each attempt meanwhile prolongs it.
	MaxRefusals = 3
	Window      = 30 * time.Minute

	iterations = 10_000 // of the fingerprint, which stands on disk
	maxFile    = 1 << 16
)

// minWaits are the least waits after the first refusal, the second and so on.
var minWaits = [MaxRefusals - 1]time.Duration{10 * time.Second, time.Minute}

// Account is who logs in where. A change of any of the three begins anew.
type Account struct{ URL, Username, Password string }

// Ledger is the file. Its methods may be called concurrently; of several
// processes the last to write wins, which errs by their number at most.
type Ledger struct {
	path string
	now  func() instant

	mu   sync.Mutex
	last record
	// derived is the account that last.Account was computed for.
	derived Account
}

// record is the file's content.
type record struct {
	Salt    []byte    `json:"salt"`
	Account []byte    `json:"account"`
	Refused []instant `json:"refused"`
}

// Open reads nothing yet. With an empty path the count is kept in memory alone.
func Open(path string) *Ledger { return &Ledger{path: path, now: now} }

// OpenAt is Open with a clock that is ahead, to look at what comes later.
func OpenAt(path string, ahead time.Duration) *Ledger {
	return &Ledger{path: path, now: func() instant {
		i := now()
		return instant{i.At.Add(ahead), i.Boot, i.Uptime + ahead}
	}}
}

// Now is the ledger's clock.
func (l *Ledger) Now() time.Time { return l.now().At }

// Next is when the account may next log in: now or before for at once. The count
// is of refusals within Window.
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

// ages are how long ago the refusals within Window were, the longest first.
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

// Attempt notes that the password is about to be sent. The error says that the
// file does not take it; the attempt then counts in this process alone.
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

// Accepted forgets every attempt: the account is right.
func (l *Ledger) Accepted(a Account) error {
	return l.update(a, func() { l.last.Refused = nil })
}

// Unanswered takes the last attempt back: nobody refused it.
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

// load takes what the file says of the account. A file that is missing, damaged
// or of another account says nothing, and this process's own count stands.
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

// rebase turns refusals of an earlier boot into ones of this boot, so that a box
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
		// Where the file does not take it, the next look carries them again.
		_ = l.save()
	}
}

var errInvalidFile = errors.New("not a file of log-ins")

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

// save writes the file so that a power cut leaves the old one or the new.
func (l *Ledger) save() error {
	if l.path == "" {
		return nil
	}
	text, err := json.Marshal(l.last)
	if err != nil {
		return fmt.Errorf("encode refused log-ins: %w", err)
	}
	if err := durable.WriteFile(l.path, text); err != nil {
		return fmt.Errorf("keep refused log-ins: %w", err)
	}
	return nil
}

func salt() []byte {
	bytes := make([]byte, 16)
	_, _ = rand.Read(bytes) // never fails, by its documentation
	return bytes
}

func (r record) of(a Account) bool { return bytes.Equal(r.Account, r.fingerprint(a)) }

// fingerprint stands for the account without giving its password away.
func (r record) fingerprint(a Account) []byte {
	text, err := json.Marshal(a)
	if err != nil {
		return nil // strings alone: this cannot be
	}
	key, err := pbkdf2.Key(sha256.New, string(text), r.Salt, iterations, 16)
	if err != nil {
		return nil // the length is valid: this cannot be
	}
	return key
}
