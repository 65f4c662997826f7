package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"log/slog"
	"testing"
	"time"

	"meltwatch/agent/message"
)

// order sends a command and returns its result.
func (p *plant) order(id, name, more string) message.CommandResult {
	p.t.Helper()
	text := fmt.Sprintf(`{"id": %q, "command": %q, "deadline": %q%s}`, id, name, time.Now().Add(time.Minute).Format(time.RFC3339), more)
	if err := p.server.Publish("meltwatch/test/f1/command", []byte(text), false, 1); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var r message.CommandResult
		if text := p.payloadOn("command/result"); text != nil {
			if err := json.Unmarshal(text, &r); err != nil {
				p.t.Fatal(err)
			}
		}
		if r.ID == id {
			return r
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: no result; the last is %+v", name, r)
		}
	}
}

func TestRemoteCommands(t *testing.T) {
	t.Parallel()
	p := newPlant(t, working(), `, commands: {snapshot: true, self_test: true, restart: true, log_level: true, acknowledge: true, per_minute: 60}`)
	p.healthy()
	p.unharmedWhile(func() {
		if r := p.order("1", "snapshot", ""); r.Status != message.Done {
			t.Errorf("snapshot: %+v", r)
		}
		picture, err := jpeg.Decode(bytes.NewReader(p.payloadOn("snapshot")))
		if err != nil || picture.Bounds().Dx() < 100 {
			t.Errorf("the snapshot is an invalid picture: %v", err)
		}
		if r := p.order("2", "self_test", ""); r.Status != message.Done || r.Data == nil {
			t.Errorf("self-test: %+v", r)
		}
		if r := p.order("3", "log_level", `, "level": "error"`); r.Status != message.Done || p.agent.env.Level.Level() != slog.LevelError {
			t.Errorf("log level: %+v, %s", r, p.agent.env.Level.Level())
		}
		if r := p.order("4", "acknowledge", ""); r.Status != message.Failed {
			t.Errorf("acknowledged without a held alarm: %+v", r)
		}
		if r := p.order("5", "restart", `, "part": "everything"`); r.Status != message.Failed {
			t.Errorf("restart of an unknown part: %+v", r)
		}
		before := p.childPID("meltwatch-camera")
		if r := p.order("6", "restart", `, "part": "camera"`); r.Status != message.Done || p.otherChild("meltwatch-camera", before) == 0 && !p.soon(func() bool { return p.otherChild("meltwatch-camera", before) != 0 }) {
			t.Errorf("restart of the camera: %+v", r)
		}
	})
	began := time.Now()
	if r := p.order("7", "restart", `, "part": "mqtt"`); r.Status != message.Done {
		t.Errorf("restart of the connection: %+v", r)
	}
	p.within(20*time.Second, "video back", func(s message.State) bool { return s.Senses.Video == "ok" })
	p.eachSampleArrives(began)
}

func (p *plant) soon(ok func() bool) bool {
	for range 200 {
		if ok() {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}
