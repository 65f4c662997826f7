package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/procfs"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/docs/schemas/schematest"
	"meltwatch/simulator/broker"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
	"meltwatch/simulator/serve"
)

// plant is an agent with every part real: the simulated furnace behind Modbus and RTSP,
// a broker, the agent in this process and its children.
type plant struct {
	t    *testing.T
	sim  *serve.Server
	stop func() error
	// programs is a folder of this plant alone, which identifies its children.
	programs string
	agent    *Agent
	// file is the agent's configuration file; server is the last broker.
	file   string
	server *broker.Server
	// address is the address of the broker.
	address string

	mu      sync.Mutex
	states  []receivedState
	samples []receivedSample
	events  []message.Event
	// lastPayload holds the last payload of every topic.
	lastPayload map[string][]byte
}

type mqttState = message.State

type receivedState struct {
	message.State
	at time.Time
}

type receivedSample struct {
	message.Sample
	at time.Time
}

// needPrograms skips the test if the children are not built.
func needPrograms(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"meltwatch", "meltwatch-infer", "meltwatch-camera"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Skipf("%s is not built: run make build", name)
		}
	}
	return folder
}

// long skips the test in -short mode, as in the race detector's run, which covers the
// same code with other tests.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("real time: left out by -short")
	}
}

// settingsOf returns the configuration of an agent at a simulated furnace.
func settingsOf(t *testing.T, sim *serve.Server, broker string) config.Config {
	t.Helper()
	c, err := config.Parse([]byte(document(t, sim, broker)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// document returns the same configuration as text.
func document(t *testing.T, sim *serve.Server, broker string) string {
	t.Helper()
	built, programs := needPrograms(t), t.TempDir()
	for _, name := range []string{"meltwatch-infer", "meltwatch-camera"} {
		if err := os.Symlink(filepath.Join(built, name), filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	crop := scene.CropRect
	return fmt.Sprintf(`{site: test, furnace: f1,
meters: {plc: {url: %q, fields: {
  current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6},
  manual: {address: 24, type: bit, bit: 0}, feeding: {address: 24, type: bit, bit: 1}, exhaust: {address: 24, type: bit, bit: 2}}}},
camera: {url: %q, crop: {x: %d, y: %d, width: %d, height: %d}},
model: {path: ../inference/models/product},
mqtt: {broker: %q},
web: {listen: ""},
paths: {state: %q, programs: %q}}`,
		sim.MeterURL(), sim.CameraURL(), crop.Min.X, crop.Min.Y, crop.Dx(), crop.Dy(), broker, t.TempDir(), programs)
}

// newPlant starts everything; more is added to the agent's document.
func newPlant(t *testing.T, scenario furnace.Scenario, more ...string) *plant {
	t.Helper()
	needPrograms(t)
	sim, err := serve.Start(context.Background(), serve.Options{Scenario: scenario, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &plant{t: t, sim: sim, file: filepath.Join(t.TempDir(), "meltwatch.yaml"), lastPayload: map[string][]byte{}}
	text := strings.TrimSuffix(document(t, sim, p.broker()), "}") + strings.Join(more, "") + "}"
	if strings.Contains(text[strings.Index(text, "programs:"):], "web:") { // this test opens the page
		text = strings.Replace(text, "web: {listen: \"\"},\n", "", 1)
	}
	writeFile(t, p.file, text, 0o600)
	p.start()
	return p
}

// start starts the agent with its file.
func (p *plant) start() {
	p.t.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	level := &slog.LevelVar{}
	env := hostEnv(p.t, slog.NewTextHandler(testLog{p.t}, &slog.HandlerOptions{Level: level}))
	env.Level = level
	a, err := New(Source{Path: p.file, Document: text}, env)
	if err != nil {
		p.t.Fatal(err)
	}
	p.agent, p.programs = a, a.config.Load().Paths.Programs
	p.stop = runAgent(p.t, a)
}

// runAgent runs an agent until stop is called or the test ends.
func runAgent(t *testing.T, a *Agent) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

// testLog shows the agent's log when a test fails.
type testLog struct{ t *testing.T }

func (l testLog) Write(text []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(text)))
	return len(text), nil
}

// broker starts a broker that passes all messages to the plant.
func (p *plant) broker() string {
	p.t.Helper()
	server, url, err := broker.Local()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { server.Close() })
	p.server, p.address = server, url
	if err := server.Subscribe("meltwatch/test/f1/#", 1, func(_ *mochi.Client, _ packets.Subscription, m packets.Packet) {
		p.take(strings.TrimPrefix(m.TopicName, "meltwatch/test/f1/"), m.Payload)
	}); err != nil {
		p.t.Fatal(err)
	}
	return p.address
}

func (p *plant) take(topic string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.lastPayload[topic] = payload
	if err := schematest.Payload(topic, payload); err != nil && !strings.HasSuffix(topic, "desired") && topic != message.TopicCommand { // tests send bad ones
		p.t.Errorf("payload outside its schema: %v", err)
	}
	var err error
	switch topic {
	case message.TopicState:
		s := receivedState{at: now}
		err = json.Unmarshal(payload, &s.State)
		p.states = append(p.states, s)
	case message.TopicCurrent, "history/current":
		var m struct{ Samples []message.Sample }
		err = json.Unmarshal(payload, &m)
		for _, s := range m.Samples {
			p.samples = append(p.samples, receivedSample{s, now})
		}
	case message.TopicEvent:
		var e message.Event
		err = json.Unmarshal(payload, &e)
		p.events = append(p.events, e)
	}
	if err != nil {
		p.t.Errorf("payload on %s: %v", topic, err)
	}
}

// within waits until ok accepts a state that was published after the call, and returns
// the wait.
func (p *plant) within(limit time.Duration, what string, ok func(message.State) bool) time.Duration {
	p.t.Helper()
	began := time.Now()
	for {
		p.mu.Lock()
		states := p.states
		p.mu.Unlock()
		for i := len(states) - 1; i >= 0 && states[i].at.After(began); i-- {
			if ok(states[i].State) {
				return states[i].at.Sub(began).Round(10 * time.Millisecond)
			}
		}
		if time.Since(began) > limit {
			last := message.State{}
			if len(states) > 0 {
				last = states[len(states)-1].State
			}
			p.t.Fatalf("not within %s: %s; last state: %s by %s, senses %+v, coverage %+v", limit, what, last.State, last.Source, last.Senses, last.Coverage)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *plant) healthy() {
	p.t.Helper()
	p.within(180*time.Second, "both senses live, each enough for a verdict alone", func(s message.State) bool {
		return s.Senses == (message.Senses{Current: "ok", Video: "ok"}) && s.Source == "model" &&
			s.Coverage.Video > 0.95 && s.Coverage.Current > 0.27
	})
}

// ruleReady waits for the 45 s of current that the rule needs.
func (p *plant) ruleReady() {
	p.t.Helper()
	p.healthy()
	p.within(180*time.Second, "enough current for the rule", func(s message.State) bool { return s.Coverage.Current > 0.4 })
}

// longestGap is the longest time between two samples' instants since a time.
func (p *plant) longestGap(since time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var longest time.Duration
	for i := 1; i < len(p.samples); i++ {
		if p.samples[i-1].Time.After(since) {
			longest = max(longest, p.samples[i].Time.Sub(p.samples[i-1].Time))
		}
	}
	return longest
}

// longestSilence is the longest time between the arrivals of two states since a time.
func (p *plant) longestSilence(since time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var longest time.Duration
	for i := 1; i < len(p.states); i++ {
		if p.states[i].at.After(since) {
			longest = max(longest, p.states[i].at.Sub(p.states[i-1].at))
		}
	}
	return longest
}

// sourcesSince counts the sources of the verdicts since a time.
func (p *plant) sourcesSince(since time.Time) map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	sources := map[string]int{}
	for _, s := range p.states {
		if s.at.After(since) {
			sources[s.Source]++
		}
	}
	return sources
}

// install replaces a child's program for the next start.
func (p *plant) install(program, target string) {
	p.t.Helper()
	path := filepath.Join(p.programs, program)
	for _, err := range []error{os.Symlink(target, path+".new"), os.Rename(path+".new", path)} {
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// childPID finds the plant's running child by its program's name.
func (p *plant) childPID(program string) int {
	p.t.Helper()
	pid := p.otherChild(program, 0)
	if pid == 0 {
		p.t.Fatalf("no child %s", program)
	}
	return pid
}

// otherChild finds another child than the given one, or returns 0.
func (p *plant) otherChild(program string, not int) int {
	p.t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, process := range all {
		line, err := process.CmdLine()
		if err != nil || len(line) == 0 { // the process has ended
			continue
		}
		if line[0] == filepath.Join(p.programs, program) && process.PID != not {
			return process.PID
		}
	}
	return 0
}

// freePort returns a port on which nothing listens.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func writeFile(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// hostEnv returns the environment on this machine with the test's log.
func hostEnv(t *testing.T, handler slog.Handler) Env {
	t.Helper()
	env, err := Host(slog.New(handler), &slog.LevelVar{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return env
}
