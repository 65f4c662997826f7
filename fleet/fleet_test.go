package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/drivers/drivertest"
	"meltwatch/simulator/broker"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/serve"
)

// plant is a broker and agents at one simulated furnace, each a process.
type plant struct {
	t      *testing.T
	server *broker.Server
	broker Broker
	sim    *serve.Server
	bin    string
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	bin, err := filepath.Abs("../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "meltwatch")); err != nil {
		t.Skip("meltwatch is not built: run make build")
	}
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	p := &plant{t: t, bin: bin, server: server, broker: Broker{URL: url, Wait: 10 * time.Second}}
	scenario := furnace.Scenario{Name: "working", Seed: 1, SetPoint: 15_000, Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 3600}}}
	if p.sim, err = serve.Start(context.Background(), serve.Options{Scenario: scenario, Seed: 7}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// agent starts an agent as a process; programs is where its children are.
func (p *plant) agent(furnace, meter, programs, more string) {
	p.t.Helper()
	text := fmt.Sprintf(`{site: test, furnace: %s, meters: {plc: {url: %q, fields: {
current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {enabled: false}, model: {path: %q}, mqtt: {broker: %q}, paths: {state: %q, programs: %q}%s}`,
		furnace, meter, filepath.Join(p.bin, "../inference/models/product"), p.broker.URL, p.t.TempDir(), programs, more)
	file := filepath.Join(p.t.TempDir(), "meltwatch.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(p.bin, "meltwatch"), "run", "--config", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		err := cmd.Process.Signal(syscall.SIGTERM)
		if waited := cmd.Wait(); err != nil || waited != nil || p.t.Failed() {
			p.t.Logf("agent %s: %v, %v\n%s", furnace, err, waited, stderr.String())
		}
	})
}

// retained is a topic of an agent as the broker keeps it.
func (p *plant) retained(agent, topic string) string {
	for _, m := range p.server.Topics.Messages(rootOf(agent) + topic) {
		return string(m.Payload)
	}
	return ""
}

func (p *plant) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within 90 s: %s", what)
		}
	}
}

// output gathers what a command prints; lines come from several goroutines.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// do runs an operation and returns what it prints.
func (p *plant) do(operation func(Fleet) error) (string, error) {
	p.t.Helper()
	var out output
	err := operation(Fleet{Broker: p.broker, Out: &out})
	return out.String(), err
}

func (p *plant) set(agents, patch string, how Change) (string, error) {
	p.t.Helper()
	return p.do(func(f Fleet) error { return f.SetConfig(p.t.Context(), agents, json.RawMessage(patch), how) })
}

func (p *plant) rollBack(agents string, how Change) (string, error) {
	p.t.Helper()
	return p.do(func(f Fleet) error { return f.RollBackConfig(p.t.Context(), agents, how) })
}

// Ten agents, one of which has a meter that is slower than what the change asks
// of it: it rolls back in the first stage, and nobody else hears of the change.
func TestRollOutToTenStopsAtTheBadBox(t *testing.T) {
	if testing.Short() {
		t.Skip("real processes: left out by -short")
	}
	p := newPlant(t)
	bad := "test/f4"
	for i := range 10 {
		meter := p.sim.MeterURL()
		if fmt.Sprint("test/f", i) == bad {
			meter = drivertest.SlowMeter(t, meter, 200*time.Millisecond)
		}
		p.agent(fmt.Sprint("f", i), meter, "/nowhere", "") // without a model: the rule will do here
	}
	p.until("ten agents with a sample", func() bool {
		for i := range 10 {
			if !strings.Contains(p.retained(fmt.Sprint("test/f", i), "state"), `"current":"ok"`) {
				return false
			}
		}
		return true
	})
	how := Change{Stages: Stages{Sizes: "1,30%,100%", First: bad}, Deadline: 5 * time.Second}
	const hurry = `{"meters": {"plc": {"period": "160ms", "timeout": "120ms"}}}`
	out, err := p.set("all", hurry, how)
	if err == nil || !strings.Contains(err.Error(), "rolled_back") || !strings.Contains(err.Error(), "meters.plc") ||
		!strings.Contains(err.Error(), "stopped after stage 1") || !strings.Contains(err.Error(), "9 of 10 agents are untouched") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%v", err)
	for i := range 10 {
		agent := fmt.Sprint("test/f", i)
		if desired := p.retained(agent, "config/desired"); (desired != "") != (agent == bad) {
			t.Errorf("%s: desired %q", agent, desired)
		}
		var r message.ConfigReport
		if err := json.Unmarshal([]byte(p.retained(agent, "config/reported")), &r); err != nil || r.RunningRevision != 0 {
			t.Errorf("%s: %+v, %v", agent, r, err)
		}
	}

	// The others can have it, in three stages; and go back, all at once.
	how.First = ""
	out, err = p.set("all", `{"state": {"hold_seconds": 21}}`, how)
	if err != nil || strings.Count(out, ": done") != 10 || !strings.Contains(out, "stage 3 of 3") {
		t.Fatalf("%v\n%s", err, out)
	}
	lines, err := p.do(func(f Fleet) error { return f.DiffConfig(t.Context(), "test/f1", json.RawMessage(hurry)) })
	if err != nil || !strings.Contains(lines, "state.hold_seconds: 21 → (the box's own)") || !strings.Contains(lines, `meters.plc.period: (the box's own) → "160ms"`) {
		t.Errorf("diff: %v\n%s", err, lines)
	}
	how.Sizes = "100%"
	if out, err = p.rollBack("test/f[0-3]", how); err != nil || strings.Count(out, ": done") != 4 {
		t.Fatalf("rollback: %v\n%s", err, out)
	}
	table, err := p.do(func(f Fleet) error { return f.List(t.Context(), "all", false) })
	if err != nil || strings.Count(table, "online") != 10 || strings.Count(table, "applied") != 10 {
		t.Errorf("list: %v\n%s", err, table)
	}
	t.Logf("\n%s", table)
}

// A signed package through the broker, by chunks, to an agent with a real model.
func TestPushModel(t *testing.T) {
	if testing.Short() {
		t.Skip("real processes: left out by -short")
	}
	p := newPlant(t)
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("../inference/models/product")); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(folder, "manifest.json")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "desk.key")
	public, err := modelpackage.NewKey(key)
	if err != nil {
		t.Fatal(err)
	}
	tar := filepath.Join(t.TempDir(), "better.model")
	for _, step := range []func() error{
		func() error {
			return os.WriteFile(manifest, bytes.Replace(text, []byte(`"product"`), []byte(`"better"`), 1), 0o600)
		},
		func() error {
			return exec.Command(filepath.Join(p.bin, "meltwatch"), "model", "pack", folder, tar).Run()
		},
		func() error {
			return exec.Command(filepath.Join(p.bin, "meltwatch"), "model", "sign", tar, "--key", key, "--name", "desk").Run()
		},
		func() error {
			return exec.Command(filepath.Join(p.bin, "meltwatch"), "model", "verify", tar, "--public", public).Run()
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	p.agent("f1", p.sim.MeterURL(), p.bin, fmt.Sprintf(", trust: {model_keys: {desk: %q}}, remote: {model_latency: 800ms}", public))
	p.until("a verdict by the model", func() bool { return strings.Contains(p.retained("test/f1", "state"), `"source":"model"`) })
	out, err := p.do(func(f Fleet) error {
		return f.PushModel(t.Context(), "test/f1", RollOut{
			Stages: Stages{Sizes: "1"}, Package: tar, Shadow: 5 * time.Second, Observe: 5 * time.Second,
		})
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.until("the new model's name", func() bool { return strings.Contains(p.retained("test/f1", "state"), `"name":"better"`) })
}

func TestStages(t *testing.T) {
	agents := strings.Fields("a b c d e f g h i j")
	for words, want := range map[string]string{
		"1,25%,100%":    "a|b c|d e f g h i j",
		"100%":          "a b c d e f g h i j",
		"3":             "a b c",
		"1, 1, 50%, 99": "a|b c d e|f g h i j",
		"1%":            "a",
	} {
		stages, err := Stages{Sizes: words}.split(agents)
		var parts []string
		for _, s := range stages {
			parts = append(parts, strings.Join(s, " "))
		}
		if err != nil || strings.Join(parts, "|") != want {
			t.Errorf("%s: %v, %v", words, parts, err)
		}
	}
	for _, words := range []string{"", "0", "-1", "101%", "some", "1;2"} {
		if _, err := (Stages{Sizes: words}).split(agents); err == nil {
			t.Errorf("%q: accepted", words)
		}
	}
}

func TestAgentsAreChosenByPattern(t *testing.T) {
	c := &connection{payloads: map[string]map[string][]byte{"p1/f1": {}, "p1/f2": {}, "p2/f1": {}}}
	for pattern, want := range map[string][]string{
		"all": {"p1/f1", "p1/f2", "p2/f1"}, "p1/*": {"p1/f1", "p1/f2"}, "*/f1": {"p1/f1", "p2/f1"}, "p2/f1": {"p2/f1"},
	} {
		if got, err := c.choose(pattern); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", pattern, got, err)
		}
	}
	for _, pattern := range []string{"p3/*", "[", ""} {
		if got, err := c.choose(pattern); err == nil {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}
