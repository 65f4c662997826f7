package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/procfs"

	"meltwatch/agent/recorder/recordertest"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/inference"
	"meltwatch/simulator/furnace"
)

// variant copies the product into a folder, with a changed manifest.
func variant(t *testing.T, folder string, change func(m map[string]any)) {
	t.Helper()
	const product = "../inference/models/product"
	if err := os.CopyFS(folder, os.DirFS(product)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, inference.ManifestFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// deaf is a variant of the product that finds nothing.
func deaf(m map[string]any) {
	m["name"], m["version"] = "deaf", "9.0.0"
	m["decision"].(map[string]any)["enter"] = 0.999999
}

// comparingAgent is an agent that does not run, with a labelled recording of a melt; only its
// comparer runs.
func comparingAgent(t *testing.T, melt furnace.Scenario) (*Agent, config.Config) {
	t.Helper()
	programs := needPrograms(t)
	c := settingsOf(t, startSim(t), "tcp://127.0.0.1:1")
	c.Recorder.Enabled = true
	synctest.Test(t, func(t *testing.T) { recordertest.Record(t, settings.RecordingsFolder(c), melt) })
	env := hostEnv(t, slog.DiscardHandler)
	env.Program = filepath.Join(programs, "meltwatch")
	a, err := NewFixed(c, env)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.comparer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("comparer: %v", err)
		}
	})
	return a, c
}

// wait waits for the end of a comparison, and returns why it gave no result.
func (c *comparer) wait(t *testing.T) (fault string, steps int) {
	t.Helper()
	last := -1
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		s := c.Status()
		if s.Running == nil {
			return s.Fault, steps
		}
		if s.Running.Done > last {
			last, steps = s.Running.Done, steps+1
		}
		if time.Since(began) > 4*time.Minute {
			t.Fatalf("the comparison still runs: %+v", s.Running)
		}
	}
}

// The product and a variant with other thresholds are compared on what the simulator
// knows, in a process of its own at the lowest priority.
func TestModelsAreComparedOnLabels(t *testing.T) {
	long(t)
	a, c := comparingAgent(t, furnace.Scenario{Seed: 1, SetPoint: 15000, Segments: []furnace.Segment{
		{State: furnace.Normal, Seconds: 300}, {State: furnace.Ramp, Seconds: 120, Current: furnace.Flat},
		{State: furnace.Abnormal, Seconds: 90}, {State: furnace.Recovery, Seconds: 60}, {State: furnace.Normal, Seconds: 60},
	}})
	variant(t, filepath.Join(c.Paths.State, "candidates", "deaf"), deaf)
	status := a.comparer.Status()
	if len(status.Candidates) != 1 || status.Candidates[0].Name != "deaf" || status.Candidates[0].Fault != "" || status.InForce.Name != "product" {
		t.Fatalf("status %+v", status)
	}
	if err := a.comparer.Start(status.Candidates[0].ID, "Li"); err != nil {
		t.Fatal(err)
	}
	if err := a.comparer.Start(status.Candidates[0].ID, "Li"); !errors.Is(err, errComparing) {
		t.Errorf("a second one at a time: %v", err)
	}
	fault, steps := a.comparer.wait(t)
	if fault != "" || steps < 3 {
		t.Fatalf("fault %q, %d steps of progress", fault, steps)
	}
	last, err := a.comparer.Last()
	if err != nil || last == nil {
		t.Fatal(last, err)
	}
	have, candidate := last.InForceSum, last.CandidateSum
	if last.InForce.Name != "product" || last.Candidate.Name != "deaf" || last.Candidate.SHA256 != status.Candidates[0].ID {
		t.Errorf("models %+v, %+v", last.InForce, last.Candidate)
	}
	if have.Found != 1 || have.Missed != 0 || have.DelayMaxS == nil || *have.DelayMaxS < 1 || *have.DelayMaxS > 100 || have.FalseAlarms != 0 {
		t.Errorf("in force %+v", have)
	}
	if candidate.Found != 0 || candidate.Missed != 1 || candidate.DelayMaxS != nil || candidate.FalseAlarms != 0 || candidate.Right >= have.Right || candidate.Seconds != have.Seconds {
		t.Errorf("candidate %+v against %+v", candidate, have)
	}
	if len(last.Differences) == 0 || last.Differences[0].CandidateRight || last.Differences[0].Class != "abnormal" || last.Differences[0].To.Sub(last.Differences[0].From) < time.Minute {
		t.Errorf("differences %+v", last.Differences)
	}
}

// What the child cannot do is told with its cause, and the next comparison starts.
func TestComparisonIsRefusedOrCancelled(t *testing.T) {
	long(t)
	a, c := comparingAgent(t, furnace.Scenario{Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 400}}})
	folder := filepath.Join(c.Paths.State, "candidates")
	variant(t, filepath.Join(folder, "damaged"), func(m map[string]any) { m["name"] = "damaged" })
	if err := os.WriteFile(filepath.Join(folder, "damaged", "golden.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	variant(t, filepath.Join(folder, "other"), func(m map[string]any) {
		m["name"] = "other"
		m["current"].(map[string]any)["samples"] = 120
	})
	variant(t, filepath.Join(folder, "slow"), deaf)
	if err := errors.Join(os.Mkdir(filepath.Join(folder, "empty"), 0o700), os.WriteFile(filepath.Join(folder, "file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, one := range a.comparer.Status().Candidates {
		ids[one.Name] = one.ID
		if bad := one.Name == "other" || one.Name == "empty"; bad != (one.Fault != "") {
			t.Errorf("candidate %+v", one)
		}
	}
	if len(ids) != 4 {
		t.Errorf("candidates %v", ids)
	}
	for _, id := range []string{"", "x", "../../etc"} {
		if err := a.comparer.Start(id, "Li"); err == nil {
			t.Errorf("%q was started", id)
		}
	}
	if err := a.comparer.Cancel("Li"); !errors.Is(err, errNoCompare) {
		t.Errorf("cancelled without one: %v", err)
	}
	for name, want := range map[string]string{"damaged": "golden.json"} {
		if err := a.comparer.Start(ids[name], "Li"); err != nil {
			t.Fatal(err)
		}
		if fault, _ := a.comparer.wait(t); !strings.Contains(fault, want) {
			t.Errorf("%s: %q", name, fault)
		}
	}
	if err := a.comparer.Start(ids["deaf"], "Li"); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); a.comparer.Status().Running == nil || a.comparer.Status().Running.Of == 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("nothing is decided")
		}
	}
	yields(t)
	began := time.Now()
	if err := a.comparer.Cancel("Wang"); err != nil {
		t.Fatal(err)
	}
	if fault, _ := a.comparer.wait(t); fault != "cancelled by Wang" || time.Since(began) > 10*time.Second {
		t.Errorf("%q after %s", fault, time.Since(began))
	}
	// A process that waits for a disk is not doubled.
	a.comparer.mu.Lock()
	ended := a.comparer.ended
	a.comparer.ended = make(chan struct{})
	a.comparer.mu.Unlock()
	if err := a.comparer.Start(ids["deaf"], "Li"); !errors.Is(err, errStuck) {
		t.Errorf("beside a process that does not end: %v", err)
	}
	a.comparer.mu.Lock()
	a.comparer.ended = ended
	a.comparer.mu.Unlock()
	if last, err := a.comparer.Last(); last != nil || err != nil {
		t.Errorf("a cancelled comparison left %+v, %v", last, err)
	}
	if _, err := os.Stat(filepath.Join(settings.RecordingsFolder(c), "comparison.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cancelled comparison left a file: %v", err)
	}
}

// yields checks that the comparison and both its models have the lowest priority, and go
// first when memory runs out.
func yields(t *testing.T) {
	t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	parents, found, bytes := map[int]bool{}, 0, uint64(0)
	for range 2 { // the command, then its children
		for _, p := range all {
			stat, err := p.Stat()
			if err != nil || parents[p.PID] || stat.PPID != os.Getpid() && !parents[stat.PPID] {
				continue
			}
			if line, err := p.CmdLine(); err != nil || stat.PPID == os.Getpid() && (len(line) < 2 || line[1] != "compare") {
				continue
			}
			parents[p.PID] = true
			found++
			if status, err := p.NewStatus(); err == nil {
				bytes += status.RssAnon // of its own; the library's pages are shared
			}
			threads, err := procfs.AllThreads(p.PID)
			if err != nil {
				t.Fatal(err)
			}
			for _, thread := range threads {
				if one, err := thread.Stat(); err == nil && one.Nice != 19 {
					t.Errorf("%s: a thread has niceness %d", stat.Comm, one.Nice)
				}
			}
			if score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.PID)); err != nil || strings.TrimSpace(string(score)) != "1000" {
				t.Errorf("%s: oom_score_adj %s, %v", stat.Comm, score, err)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d processes, want the command and two models", found)
	}
	t.Logf("%d MB of their own in %d processes", bytes/1_000_000, found)
}

// The unit allows a comparison to lower its priority, and one that cannot says why.
func TestComparisonYieldsUnderTheUnit(t *testing.T) {
	program := filepath.Join(needPrograms(t), "meltwatch")
	lines := unitSettings(t)["SystemCallFilter"]
	for denied, more := range map[bool]string{false: "", true: "~setpriority"} {
		calls := allowedCalls(t, append(slices.Clone(lines), more))
		out, err := filtered(t, calls, program, "compare", t.TempDir(), "--config", filepath.Join(t.TempDir(), "missing.yaml")).CombinedOutput()
		if err == nil || denied != strings.Contains(string(out), "lower the priority of this process: operation not permitted; the service needs the unit") {
			t.Errorf("denied %t: %v: %s", denied, err, out)
		}
	}
}
