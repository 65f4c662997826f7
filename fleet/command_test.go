package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/command"
	"meltwatch/config"
	"meltwatch/simulator/broker"
)

// commanded is a box at the broker that carries out commands as an agent does.
type commanded struct {
	client paho.Client
	root   string
	held   bool
	// picture is what a snapshot publishes; nil publishes nothing.
	picture []byte
	// lostCommands and lostResults are how many messages are lost on the way.
	lostCommands, lostResults atomic.Int64

	mu  sync.Mutex
	did []string
}

func (b *commanded) Acknowledge(_ context.Context, alarm, by string) (bool, error) {
	b.note("acknowledge " + alarm + " by " + by)
	if !b.held {
		return false, errors.New("no alarm is active")
	}
	return true, nil
}
func (b *commanded) Shelve(_, by, reason string, lasts time.Duration) error {
	b.note(fmt.Sprintf("shelve by %s for %s: %s", by, lasts, reason))
	return nil
}
func (b *commanded) LogLevel(string)         {}
func (b *commanded) Restart(string) error    { return nil }
func (b *commanded) SelfTest() (any, error)  { return nil, nil } //nolint:nilnil // not asked for
func (b *commanded) OK()                     {}
func (b *commanded) Count(map[string]uint64) {}
func (b *commanded) Snapshot(context.Context) error {
	b.note("snapshot")
	if b.picture == nil {
		return errors.New("no picture yet")
	}
	b.client.Publish(b.root+message.TopicSnapshot, 1, false, b.picture)
	return nil
}

func (b *commanded) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, what)
}

// commandedBox connects a box that allows these commands.
func commandedBox(t *testing.T, url, agent string, b *commanded, allowed config.Commands) *commanded {
	t.Helper()
	allowed.PerMinute = 100
	b.root = rootOf(agent)
	server := command.New(func(r message.CommandResult) {
		text, err := json.Marshal(r)
		if err != nil {
			t.Error(err)
		}
		if b.lostResults.Add(-1) < 0 {
			b.client.Publish(b.root+message.TopicCommandResult, 1, false, text)
		}
	})
	server.Adopt(allowed)
	var err error
	b.client, err = broker.Subscribe(url, "box-"+strings.ReplaceAll(agent, "/", "-"), b.root+message.TopicCommand, func(_ string, payload []byte) {
		if b.lostCommands.Add(-1) < 0 {
			server.Take(payload)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, b, b) }()
	t.Cleanup(func() { cancel(); b.client.Disconnect(10); <-done })
	return b
}

// commandPlant is a broker that knows an online agent of each name, and p/gone.
func commandPlant(t *testing.T, online ...string) (*broker.Server, string) {
	t.Helper()
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, agent := range online {
		retain(t, server, agent, message.TopicAvailability, message.Online)
		retain(t, server, agent, message.TopicState, `{"state": "abnormal", "held": true}`)
	}
	retain(t, server, "p/gone", message.TopicAvailability, message.Offline)
	return server, url
}

func retain(t *testing.T, server *broker.Server, agent, topic, payload string) {
	t.Helper()
	if err := server.Publish(rootOf(agent)+topic, []byte(payload), true, 1); err != nil {
		t.Fatal(err)
	}
}

// answersOf runs an operation with JSON output.
func answersOf(t *testing.T, url string, operation func(Fleet) error) (map[string]Answer, error) {
	t.Helper()
	var out output
	err := operation(Fleet{Broker: Broker{URL: url, Wait: 10 * time.Second}, Out: &out})
	answers := map[string]Answer{}
	for line := range strings.Lines(out.String()) {
		var a Answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		answers[a.Agent] = a
	}
	return answers, err
}

func TestAcknowledge(t *testing.T) {
	server, url := commandPlant(t, "p/held", "p/calm", "p/strict", "p/mute")
	retain(t, server, "p/held", message.TopicAlarm, `{"id": "7-1", "phase": "raised"}`)
	allow := config.Commands{Acknowledge: true}
	held := commandedBox(t, url, "p/held", &commanded{held: true}, allow)
	commandedBox(t, url, "p/calm", &commanded{}, allow)
	strict := commandedBox(t, url, "p/strict", &commanded{held: true}, config.Commands{})
	how := Commands{Timeout: 2 * time.Second, JSON: true}
	began := time.Now()
	answers, err := answersOf(t, url, func(f Fleet) error { return f.Acknowledge(t.Context(), "all", "Li", how) })
	if err == nil || !strings.Contains(err.Error(), "4 of 5 agents") || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	for agent, want := range map[string]Answer{
		"p/held": {Status: "done"}, "p/calm": {Status: "failed", Message: "no alarm is active"},
		"p/strict": {Status: "rejected", Message: "commands.acknowledge is false"},
		"p/mute":   {Status: "silent", Message: "no answer within 2s (--timeout)"},
		"p/gone":   {Status: "offline", Message: "not kept"},
	} {
		if a := answers[agent]; a.Status != want.Status || !strings.Contains(a.Message, want.Message) {
			t.Errorf("%s: %+v, want %+v", agent, a, want)
		}
	}
	if len(held.did) != 1 || held.did[0] != "acknowledge 7-1 by Li" || len(strict.did) != 0 {
		t.Errorf("done: %v, %v", held.did, strict.did)
	}
	var out output
	if err := (Fleet{Broker{URL: url, Wait: 10 * time.Second}, &out}).Acknowledge(t.Context(), "p/held", "Li", Commands{Timeout: 5 * time.Second}); err != nil || out.String() != "p/held: done\n" {
		t.Errorf("%v %q", err, out.String())
	}
	for _, timeout := range []time.Duration{0, -1, 2 * time.Hour} {
		if err := (Fleet{Broker{URL: url}, &out}).Acknowledge(t.Context(), "all", "Li", Commands{Timeout: timeout}); err == nil || !strings.Contains(err.Error(), "--timeout") {
			t.Errorf("timeout %v: %v", timeout, err)
		}
	}
}

// A command that is lost on its way is repeated, and carried out once; a lost answer is told.
func TestALostCommandIsRepeated(t *testing.T) {
	_, url := commandPlant(t, "p/once", "p/answered")
	allow := config.Commands{Acknowledge: true}
	once := commandedBox(t, url, "p/once", &commanded{held: true}, allow)
	once.lostCommands.Store(1)
	answered := commandedBox(t, url, "p/answered", &commanded{held: true}, allow)
	answered.lostResults.Store(1)
	answers, err := answersOf(t, url, func(f Fleet) error {
		return f.Acknowledge(t.Context(), "p/*", "Li", Commands{Timeout: 3 * time.Second, JSON: true})
	})
	if err == nil || answers["p/once"].Status != "done" || answers["p/answered"].Status != "silent" || !strings.Contains(answers["p/answered"].Message, "no result has arrived") {
		t.Errorf("%v: %+v", err, answers)
	}
	if len(once.did) != 1 || len(answered.did) != 1 {
		t.Errorf("carried out %v and %v", once.did, answered.did)
	}
}

// A command is about what the broker shows as standing: the alarm, or else the suspicion.
func TestCommandsNameTheStandingSuspicion(t *testing.T) {
	server, url := commandPlant(t, "p/early", "p/both", "p/over")
	retain(t, server, "p/early", message.TopicAlarm, `{"id": "7-1", "phase": "cleared"}`)
	retain(t, server, "p/early", message.TopicSuspicion, `{"id": "7-9", "phase": "raised"}`)
	retain(t, server, "p/both", message.TopicAlarm, `{"id": "7-2", "phase": "raised"}`)
	retain(t, server, "p/both", message.TopicSuspicion, `{"id": "7-1", "phase": "shelved"}`)
	retain(t, server, "p/over", message.TopicAlarm, `{"id": "7-3", "phase": "cleared"}`)
	retain(t, server, "p/over", message.TopicSuspicion, `{"id": "7-4", "phase": "cleared"}`)
	for agent, want := range map[string]string{"p/early": "7-9", "p/both": "7-2", "p/over": "7-3"} {
		box := commandedBox(t, url, agent, &commanded{held: true}, config.Commands{Acknowledge: true})
		var out output
		if err := (Fleet{Broker{URL: url, Wait: 10 * time.Second}, &out}).Acknowledge(t.Context(), agent, "Li", Commands{Timeout: 5 * time.Second}); err != nil {
			t.Errorf("%s: %v", agent, err)
		}
		if len(box.did) != 1 || box.did[0] != "acknowledge "+want+" by Li" {
			t.Errorf("%s: %v, want %s", agent, box.did, want)
		}
	}
}

func TestShelve(t *testing.T) {
	_, url := commandPlant(t, "p/f1", "p/strict")
	box := commandedBox(t, url, "p/f1", &commanded{}, config.Commands{Shelve: true})
	commandedBox(t, url, "p/strict", &commanded{}, config.Commands{Acknowledge: true})
	answers, err := answersOf(t, url, func(f Fleet) error {
		return f.Shelve(t.Context(), "p/*", "Li", "tapping", 30, Commands{Timeout: 5 * time.Second, JSON: true})
	})
	if err == nil || answers["p/f1"].Status != "done" || answers["p/strict"].Status != "rejected" || !strings.Contains(answers["p/strict"].Message, "commands.shelve is false") {
		t.Errorf("%+v, %v", answers, err)
	}
	if len(box.did) != 1 || box.did[0] != "shelve by Li for 30m0s: tapping" {
		t.Errorf("did %q", box.did)
	}
}

func TestSnapshot(t *testing.T) {
	_, url := commandPlant(t, "p/f1", "p/f2", "p/dark", "p/forged")
	allow := config.Commands{Snapshot: true}
	jpeg := append([]byte{0xff, 0xd8, 0xff}, bytes.Repeat([]byte{7}, 200_000)...)
	commandedBox(t, url, "p/f1", &commanded{picture: jpeg}, allow)
	commandedBox(t, url, "p/f2", &commanded{picture: append(jpeg, 2)}, allow)
	commandedBox(t, url, "p/dark", &commanded{}, allow)
	commandedBox(t, url, "p/forged", &commanded{picture: []byte("#!/bin/sh")}, allow)
	folder := t.TempDir()
	how := Commands{Timeout: 5 * time.Second, JSON: true}
	answers, err := answersOf(t, url, func(f Fleet) error { return f.Snapshot(t.Context(), "p/*", folder, how) })
	if err == nil || !strings.Contains(err.Error(), "3 of 5 agents") {
		t.Error(err)
	}
	for agent, want := range map[string][]byte{"p/f1": jpeg, "p/f2": append(jpeg, 2)} {
		path := filepath.Join(folder, strings.ReplaceAll(agent, "/", "-")+".jpg")
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) || answers[agent].File != path {
			t.Errorf("%s: %d bytes, %v, %+v", agent, len(have), err, answers[agent])
		}
	}
	for agent, want := range map[string]string{"p/dark": "no picture yet", "p/forged": "is not a JPEG", "p/gone": "not kept"} {
		if a := answers[agent]; !strings.Contains(a.Message, want) || a.File != "" {
			t.Errorf("%s: %+v, want %s", agent, a, want)
		}
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
	one := filepath.Join(folder, "one.jpg")
	if answers, err := answersOf(t, url, func(f Fleet) error { return f.Snapshot(t.Context(), "p/f1", one, how) }); err != nil || answers["p/f1"].File != one {
		t.Errorf("%v %+v", err, answers)
	}
	if answers, err := answersOf(t, url, func(f Fleet) error { return f.Snapshot(t.Context(), "p/f?", one, how) }); err == nil || !strings.Contains(answers["p/f2"].Message, "is not a folder") {
		t.Errorf("%v %+v", err, answers)
	}
}

func TestForget(t *testing.T) {
	server, url := commandPlant(t, "p/f1")
	own := []string{message.TopicAvailability, message.TopicConfigDesired, message.TopicHealth, "left/behind"}
	for _, topic := range own[1:] {
		retain(t, server, "p/gone", topic, "{}")
	}
	retain(t, server, "p/gone2", message.TopicAvailability, message.Offline)
	kept := func(agent string) (topics []string) {
		for _, m := range server.Topics.Messages(rootOf(agent) + "#") {
			topics = append(topics, m.TopicName)
		}
		return topics
	}
	asked := 0
	deny := func(question string) (bool, error) {
		asked++
		if !strings.Contains(question, "p/gone") || strings.Contains(question, "p/f1") {
			t.Errorf("question %q", question)
		}
		return false, nil
	}
	if _, err := answersOf(t, url, func(f Fleet) error { return f.Forget(t.Context(), "p/*", false, true, deny) }); err == nil || asked != 1 || len(kept("p/gone")) != 4 {
		t.Errorf("%v, asked %d times, %v left", err, asked, kept("p/gone"))
	}
	answers, err := answersOf(t, url, func(f Fleet) error { return f.Forget(t.Context(), "p/gone", false, true, nil) })
	if err != nil || answers["p/gone"].Status != "done" || len(answers["p/gone"].Topics) != 4 || len(kept("p/gone")) != 0 || len(kept("p/gone2")) != 1 {
		t.Errorf("%v %+v, left %v and %v", err, answers, kept("p/gone"), kept("p/gone2"))
	}
	answers, err = answersOf(t, url, func(f Fleet) error { return f.Forget(t.Context(), "p/f1", false, true, nil) })
	if err == nil || answers["p/f1"].Status != "refused" || len(kept("p/f1")) != 2 {
		t.Errorf("%v %+v, left %v", err, answers, kept("p/f1"))
	}
	if answers, err = answersOf(t, url, func(f Fleet) error { return f.Forget(t.Context(), "p/f1", true, true, nil) }); err != nil || len(kept("p/f1")) != 0 {
		t.Errorf("%v %+v, left %v", err, answers, kept("p/f1"))
	}
	if _, err = answersOf(t, url, func(f Fleet) error { return f.Forget(t.Context(), "p/gone", false, true, nil) }); err == nil || !strings.Contains(err.Error(), "no agent matches") {
		t.Errorf("forgotten twice: %v", err)
	}
}

// An agent that runs in spite of --force publishes anew, which is said.
func TestForgetOfAnAgentThatRuns(t *testing.T) {
	_, url := commandPlant(t, "p/f1")
	client, err := broker.Subscribe(url, "box", rootOf("p/f1")+message.TopicState, func(string, []byte) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			client.Publish(rootOf("p/f1")+message.TopicState, 1, true, "{}").Wait()
			client.Publish(rootOf("p/f1")+message.TopicAvailability, 1, true, message.Online).Wait()
			time.Sleep(20 * time.Millisecond)
		}
	}()
	defer func() { cancel(); <-done; client.Disconnect(10) }()
	answers, err := answersOf(t, url, func(f Fleet) error { return f.Forget(t.Context(), "p/f1", true, true, nil) })
	if err == nil || !strings.Contains(answers["p/f1"].Message, "stop it first") {
		t.Errorf("%v %+v", err, answers)
	}
}
