package login

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// box is a clock that the test moves: its wall, which may be set, and its uptime.
type box struct{ instant }

func (b *box) wait(d time.Duration) { b.At, b.Uptime = b.At.Add(d), b.Uptime+d }

func newBox() *box {
	return &box{instant{At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Boot: "one", Uptime: time.Hour}}
}

func (b *box) open(path string) *Ledger {
	return &Ledger{path: path, now: func() instant { return b.instant }}
}

var wrong = Account{"rtsp://camera/stream", "viewer", "hunter2"}

// tries goes on for so long, a process a minute, and counts the attempts made
// within each Window.
func (b *box) tries(t *testing.T, path string, a Account, spell time.Duration) (times []time.Duration) {
	t.Helper()
	for start := b.Uptime; b.Uptime-start < spell; b.wait(30 * time.Second) {
		l := b.open(path)
		if at, _ := l.Next(a); at.After(b.At) {
			continue
		}
		if err := l.Attempt(a); err != nil {
			t.Fatal(err)
		}
		times = append(times, b.Uptime)
	}
	return times
}

func TestThreeRefusalsInHalfAnHour(t *testing.T) {
	b, path := newBox(), filepath.Join(t.TempDir(), "logins.json")
	times := b.tries(t, path, wrong, 3*time.Hour)
	for i := MaxRefusals; i < len(times); i++ {
		if within := times[i] - times[i-MaxRefusals]; within < Window {
			t.Errorf("attempts %d to %d within %v", i-MaxRefusals, i, within)
		}
	}
	if len(times) < 15 || len(times) > 18 {
		t.Errorf("%d attempts in three hours, want about 3 in each half hour", len(times))
	}
	if first := times[1] - times[0]; first < minWaits[0] {
		t.Errorf("the second attempt after %v", first)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte(wrong.Password)) {
		t.Errorf("the file gives the password away, or %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestEachChangeOfTheAccountBeginsAnew(t *testing.T) {
	b, path := newBox(), filepath.Join(t.TempDir(), "logins.json")
	b.tries(t, path, wrong, 5*time.Minute)
	for name, a := range map[string]Account{
		"password": {wrong.URL, wrong.Username, "another"},
		"username": {wrong.URL, "another", wrong.Password},
		"URL":      {"rtsp://another/stream", wrong.Username, wrong.Password},
	} {
		if at, refused := b.open(path).Next(a); at.After(b.At) || refused != 0 {
			t.Errorf("another %s waits until %v after %d refusals", name, at, refused)
		}
	}
	if at, _ := b.open(path).Next(wrong); !at.After(b.At) {
		t.Error("looking at another account forgot the first one's refusals")
	}
}

func TestOutcomes(t *testing.T) {
	b, path := newBox(), filepath.Join(t.TempDir(), "logins.json")
	for name, c := range map[string]struct {
		outcome func(*Ledger, Account) error
		want    int
	}{
		"accepted":             {(*Ledger).Accepted, 0},
		"unanswered":           {(*Ledger).Unanswered, 0},
		"refused, or died of":  {func(*Ledger, Account) error { return nil }, 1},
		"accepted after a few": {(*Ledger).Accepted, 0},
	} {
		a := Account{URL: name}
		l := b.open(path)
		if err := l.Attempt(a); err != nil {
			t.Fatal(err)
		}
		if err := c.outcome(l, a); err != nil {
			t.Fatal(err)
		}
		if _, refused := b.open(path).Next(a); refused != c.want {
			t.Errorf("%s: %d refusals, want %d", name, refused, c.want)
		}
	}
}

// The count stands however the box's clock is set, within a boot and across one,
// and never holds for longer than Window of running time.
func TestClockIsSet(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, c := range []struct {
		name   string
		change func(*box)
		holds  bool
	}{
		{"ahead", func(b *box) { b.At = b.At.Add(year) }, true},
		{"back", func(b *box) { b.At = b.At.Add(-year) }, true},
		{"rebooted at once", func(b *box) { b.Boot, b.Uptime = "two", time.Second }, true},
		{"rebooted with its clock behind", func(b *box) { b.Boot, b.Uptime, b.At = "two", time.Second, b.At.Add(-year) }, true},
		{"rebooted an hour later", func(b *box) { b.Boot, b.Uptime, b.At = "two", time.Second, b.At.Add(time.Hour) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, path := newBox(), filepath.Join(t.TempDir(), "logins.json")
			b.tries(t, path, wrong, 5*time.Minute)
			c.change(b)
			if at, _ := b.open(path).Next(wrong); at.After(b.At) != c.holds {
				t.Errorf("next at %v, now %v", at, b.At)
			}
			b.wait(Window)
			if at, _ := b.open(path).Next(wrong); at.After(b.At) {
				t.Errorf("still held after %v, until %v", Window, at)
			}
		})
	}
}

// A file that is damaged, or cannot be written, costs the memory over restarts and
// no more.
func TestFileThatCannotBeUsed(t *testing.T) {
	folder := t.TempDir()
	damaged := filepath.Join(folder, "damaged")
	if err := os.WriteFile(damaged, []byte(`{"salt": 7`), 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(folder, "huge")
	if err := os.WriteFile(huge, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBox()
	for name, path := range map[string]string{
		"no path": "", "no folder": filepath.Join(folder, "none", "x"), "a folder": folder, "damaged": damaged, "huge": huge,
	} {
		l := b.open(path)
		for range 2 * MaxRefusals {
			if at, _ := l.Next(wrong); at.After(b.At) {
				b.wait(at.Sub(b.At))
			}
			_ = l.Attempt(wrong) // the error is what is tried
		}
		if _, refused := l.Next(wrong); refused == 0 || refused > MaxRefusals {
			t.Errorf("%s: %d refusals counted", name, refused)
		}
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte(`{"salt":"AAAA","account":"AAAA","refused":[{"at":"2026-01-01T00:00:00Z","boot":"x","uptime_ns":-9223372036854775808}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := decode(text)
		if err != nil {
			return
		}
		b := newBox()
		l := b.open("")
		l.last, l.derived = found, wrong // as if the file were the account's
		l.rebase()
		if at, _ := l.Next(wrong); at.Sub(b.At) > Window {
			t.Errorf("held until %v", at)
		}
		if err := l.Attempt(wrong); err != nil || len(l.last.Refused) > MaxRefusals {
			t.Errorf("%d refusals kept, %v", len(l.last.Refused), err)
		}
	})
}
