package command

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config/strict/stricttest"
	"meltwatch/durable"
	"meltwatch/durable/crashfs"
)

// runServer runs the server of one process in virtual time; ask sends a payload.
func runServer(t *testing.T, files durable.Files, b *fakeAgent, script func(ask func(text string, retained bool) message.CommandResult)) {
	t.Helper()
	var last message.CommandResult
	s := New(func(r message.CommandResult) { last = r })
	s.Persist(files)
	s.Adopt(everything)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, b, b) }()
	script(func(text string, retained bool) message.CommandResult {
		last = message.CommandResult{}
		s.Handle([]byte(text), retained)
		synctest.Wait()
		return last
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A command that is repeated after a restart of the agent is not executed again, also
// after a power cut. A retained command is never executed.
func TestCommandIsCarriedOutOnceOverRestarts(t *testing.T) {
	for _, powerCut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			disk, b := crashfs.New(-1), &fakeAgent{held: true}
			restart := payload("a", "restart", 50*time.Minute, `, "part": "camera"`)
			runServer(t, disk, b, func(ask func(string, bool) message.CommandResult) {
				if r := ask(payload("r", "restart", time.Minute, `, "part": "camera"`), true); r.Status != message.Rejected || !strings.Contains(r.Message, "retained") {
					t.Errorf("retained: %+v", r)
				}
				if r := ask(restart, false); r.Status != message.Done {
					t.Errorf("first: %+v", r)
				}
			})
			if powerCut {
				disk.PowerCut()
			}
			runServer(t, disk, b, func(ask func(string, bool) message.CommandResult) {
				for _, retained := range []bool{false, true} {
					if r := ask(restart, retained); r.Status != message.Rejected {
						t.Errorf("again: %+v", r)
					}
				}
				time.Sleep(time.Hour)
				if r := ask(payload("b", "acknowledge", time.Minute, ""), false); r.Status != message.Done {
					t.Errorf("another: %+v", r)
				}
			})
			if strings.Join(b.all(), ", ") != "restart camera, acknowledge by a command" {
				t.Errorf("did %q", b.all())
			}
			if text, err := durable.ReadFile(disk, idsFile); err != nil || strings.Contains(string(text), `"a"`) {
				t.Errorf("an id is kept past its deadline: %s, %v", text, err)
			}
		})
	}
}

// full is a full disk.
type full struct{ durable.Files }

func (full) Create(string) (durable.File, error) { return nil, errors.New("no space left on device") }

func TestCommandThatCannotBeNotedIsNotCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeAgent{held: true}
		runServer(t, full{crashfs.New(-1)}, b, func(ask func(string, bool) message.CommandResult) {
			if r := ask(payload("a", "acknowledge", time.Minute, ""), false); r.Status != message.Rejected || !strings.Contains(r.Message, "no space") {
				t.Errorf("%+v", r)
			}
			if r := ask(payload("b", "self_test", time.Minute, ""), false); r.Status != message.Done {
				t.Errorf("%+v", r)
			}
		})
		if len(b.all()) != 1 {
			t.Errorf("did %q", b.all())
		}
	})
}

func TestDamagedFileHoldsNoIDs(t *testing.T) {
	for _, text := range []string{"", "null", "{", "[1]", `{"a": 7}`} {
		disk := crashfs.New(-1)
		disk.Put(idsFile, []byte(text))
		i := openIDs(disk)
		if i.known("a") {
			t.Errorf("%q names an id", text)
		}
		if err := i.note("b", time.Now(), time.Now()); err != nil || !i.known("b") {
			t.Errorf("after %q: %v", text, err)
		}
	}
}

func TestWorstCommandsAreAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(func(r message.CommandResult) {
			if len(r.Message)+len(r.ID)+len(r.Command) > 2000 {
				t.Errorf("a result of %d bytes", len(r.Message))
			}
		})
		allowed := everything
		allowed.PerMinute = 1 << 30
		s.Adopt(allowed)
		stricttest.CheckBounded(t, func(document []byte) {
			for _, text := range [][]byte{document, document[:min(len(document), message.MaxCommand)]} {
				s.serve(t.Context(), &fakeAgent{}, request{text, false})
			}
		})
	})
}

// Members that encoding/json would accept are refused: a retained or repeated command
// must not pass under another spelling.
func TestCommandsWithDoubledOrFoldedMembersAreRefused(t *testing.T) {
	for _, text := range []string{
		`{"id": "a", "ID": "b", "command": "restart", "deadline": "2030-01-01T00:00:00Z"}`,
		`{"id": "a", "id": "b", "command": "restart", "deadline": "2030-01-01T00:00:00Z"}`,
		`{"id": "a\ud800", "command": "restart", "deadline": "2030-01-01T00:00:00Z"}`,
		"{\"id\": \"a\xff\", \"command\": \"restart\", \"deadline\": \"2030-01-01T00:00:00Z\"}",
	} {
		if c, err := message.ParseCommand([]byte(text)); err == nil {
			t.Errorf("%s: taken as %+v", text, c)
		}
	}
}
