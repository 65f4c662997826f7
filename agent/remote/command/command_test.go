package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// fakeAgent records the calls.
type fakeAgent struct {
	held bool
	mu   sync.Mutex
	did  []string
	// dropped is the counter that the server reported.
	dropped uint64
}

func (a *fakeAgent) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.did = append(a.did, what)
}

// all returns the calls so far.
func (a *fakeAgent) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.did)
}

func (a *fakeAgent) OK()                              {}
func (a *fakeAgent) Count(counters map[string]uint64) { a.dropped = counters["dropped_commands"] }

func (a *fakeAgent) Acknowledge(_ context.Context, alarm, by string) (bool, error) {
	if !a.held {
		return false, errors.New("no alarm")
	}
	a.note(strings.TrimSpace("acknowledge "+alarm) + " by " + by)
	return true, nil
}
func (a *fakeAgent) Shelve(_, by, reason string, lasts time.Duration) error {
	a.note(fmt.Sprintf("shelve by %s for %s: %s", by, lasts, reason))
	return nil
}
func (a *fakeAgent) LogLevel(level string) { a.note("level " + level) }
func (a *fakeAgent) Restart(part string) error {
	a.note("restart " + part)
	if part != "camera" {
		return errors.New("part: not one")
	}
	return nil
}
func (a *fakeAgent) SelfTest() (any, error) {
	a.note("self_test")
	return map[string]string{"camera": "ok"}, nil
}
func (a *fakeAgent) Snapshot(context.Context) error { a.note("snapshot"); return nil }

var everything = config.Commands{Acknowledge: true, LogLevel: true, Restart: true, SelfTest: true, Snapshot: true, Shelve: true, PerMinute: 100}

// serving runs a script against a server in virtual time; ask sends a payload and
// returns the result.
func serving(t *testing.T, allowed config.Commands, script func(b *fakeAgent, ask func(string) message.CommandResult)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var results []message.CommandResult
		b := &fakeAgent{held: true}
		s := New(func(r message.CommandResult) { results = append(results, r) })
		s.Adopt(allowed)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, b, b) }()
		script(b, func(payload string) message.CommandResult {
			before := len(results)
			s.Take([]byte(payload))
			synctest.Wait()
			if len(results) == before {
				return message.CommandResult{}
			}
			return results[len(results)-1]
		})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func payload(id, command string, in time.Duration, more string) string {
	return fmt.Sprintf(`{"id": %q, "command": %q, "deadline": %q%s}`, id, command, time.Now().Add(in).Format(time.RFC3339Nano), more)
}

func TestCommandsAreCarriedOutOnce(t *testing.T) {
	serving(t, everything, func(b *fakeAgent, ask func(string) message.CommandResult) {
		for i, c := range [][3]string{
			{"acknowledge", "", "acknowledge by a command"}, {"restart", `, "part": "camera"`, "restart camera"},
			{"acknowledge", `, "by": "Li", "alarm": "7-1"`, "acknowledge 7-1 by Li"},
			{"shelve", `, "by": "Li", "reason": "tapping", "minutes": 15`, "shelve by Li for 15m0s: tapping"},
			{"self_test", "", "self_test"}, {"snapshot", "", "snapshot"}, {"log_level", `, "level": "debug"`, "level debug"},
		} {
			text := payload(fmt.Sprint(i), c[0], time.Minute, c[1])
			if r := ask(text); r.Status != message.Done || r.ID != fmt.Sprint(i) || b.all()[len(b.all())-1] != c[2] {
				t.Errorf("%s: %+v, did %v", text, r, b.all())
			}
			did := len(b.all())
			if r := ask(text); r.Status != message.Rejected || len(b.all()) != did {
				t.Errorf("again: %+v, did %v", r, b.all())
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if b.all()[len(b.all())-1] != "level " {
			t.Errorf("the log level was not restored: %v", b.all())
		}
	})
}

func TestCommandsThatMustNotBeCarriedOut(t *testing.T) {
	serving(t, everything, func(b *fakeAgent, ask func(string) message.CommandResult) {
		for text, why := range map[string]string{
			`no JSON`: "invalid command",
			`{"id": "1", "command": "snapshot", "deadline": "soon"}`:               "invalid command",
			`{"id": "1", "command": "snapshot"}`:                                   "deadline",
			payload("", "snapshot", time.Minute, ""):                               "id",
			payload(strings.Repeat("x", 65), "snapshot", time.Minute, ""):          "id",
			payload("1", "snapshot", -time.Second, ""):                             "deadline",
			payload("1", "snapshot", 2*time.Hour, ""):                              "deadline",
			payload("1", "shell", time.Minute, ""):                                 "command",
			payload("1", "snapshot", time.Minute, `, "shell": "rm"`):               "invalid command",
			payload("1", "snapshot", time.Minute, "") + "{}":                       "more follows",
			payload("1", strings.Repeat("x", message.MaxCommand), time.Minute, ""): "bytes",
		} {
			if r := ask(text); r.Status != message.Rejected || !strings.Contains(r.Message, why) {
				t.Errorf("%.80s: %+v, want %s", text, r, why)
			}
		}
		if len(b.all()) > 0 {
			t.Errorf("did %v", b.all())
		}
		for text, why := range map[string]string{
			payload("2", "log_level", time.Minute, `, "level": "loud"`): "level",
			payload("3", "restart", time.Minute, `, "part": "/bin/sh"`): "part",
		} {
			if r := ask(text); r.Status != message.Failed || !strings.Contains(r.Message, why) {
				t.Errorf("%s: %+v, want %s", text, r, why)
			}
		}
		b.held = false
		if r := ask(payload("4", "acknowledge", time.Minute, "")); r.Status != message.Failed {
			t.Errorf("acknowledged without an alarm: %+v", r)
		}
	})
}

func TestNothingIsAllowedByDefault(t *testing.T) {
	serving(t, config.Default().Commands, func(b *fakeAgent, ask func(string) message.CommandResult) {
		for i, command := range []string{"acknowledge", "log_level", "restart", "self_test", "shelve", "snapshot"} {
			if r := ask(payload(fmt.Sprint(i), command, time.Minute, "")); r.Status != message.Rejected || !strings.Contains(r.Message, "commands."+command) {
				t.Errorf("%s: %+v", command, r)
			}
		}
		if len(b.all()) > 0 {
			t.Errorf("did %v", b.all())
		}
	})
}

func TestRateIsLimitedAndReportedOnce(t *testing.T) {
	allowed := everything
	allowed.PerMinute = 5
	serving(t, allowed, func(b *fakeAgent, ask func(string) message.CommandResult) {
		answers := 0
		for i := range 50 {
			if r := ask(payload(fmt.Sprint(i), "self_test", time.Minute, "")); r.Status != "" {
				answers++
			}
		}
		if len(b.all()) != 5 || answers != 6 || b.dropped != 45 {
			t.Errorf("%d carried out, %d answers, %d counted as dropped", len(b.all()), answers, b.dropped)
		}
		time.Sleep(time.Minute)
		if r := ask(payload("later", "self_test", time.Minute, "")); r.Status != message.Done {
			t.Errorf("after a minute: %+v", r)
		}
	})
}

// FuzzCommand checks that no payload panics, and that an accepted command has an id, a
// deadline and a result that can be encoded.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"id": "1", "command": "snapshot", "deadline": "2030-01-02T15:04:05Z"}`))
	f.Add([]byte(`{"id": "\ud800", "command": 5}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := message.ParseCommand(text)
		if err == nil && (c.ID == "" || len(c.ID) > message.MaxCommandID || c.Deadline.IsZero()) {
			t.Errorf("accepted %+v", c)
		}
		s := New(func(message.CommandResult) {})
		_ = s.admit(c, everything, time.Now()) // both an error and none are valid
		if _, err := json.Marshal(message.CommandResult{ID: c.ID, Command: c.Command}); err != nil {
			t.Error(err)
		}
	})
}
