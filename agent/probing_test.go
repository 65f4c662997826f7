package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/procfs"

	"meltwatch/agent/beside"
	"meltwatch/agent/health"
	"meltwatch/agent/web"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/rtsp/rtsptest"
)

// probingAgent is an agent that watches a meter and a camera with a log-in, and a person who
// has logged in to its page.
func probingAgent(t *testing.T, meter string) (*Agent, *visitor) {
	t.Helper()
	built := needPrograms(t)
	const secret = "geheim-1234"
	camera := rtsptest.Start(t, "viewer", secret)
	folder := t.TempDir()
	hash, err := web.Hash("a long password")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "page.hash"), string(hash)+"\n", 0o600)
	writeFile(t, filepath.Join(folder, "camera.password"), secret+"\n", 0o600)
	v := &visitor{t: t, address: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	if v.client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{site: test, furnace: f1, state: {normal_current: 15000},
meters: {main: {url: %q, fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
camera: {url: %q, username: viewer, password_file: %q, crop: {x: 10, y: 20, width: 100, height: 100}},
model: {path: ../inference/models/product}, mqtt: {broker: "tcp://127.0.0.1:1"}, recorder: {enabled: false},
web: {listen: %q, password_file: %q}, paths: {state: %q, programs: %q}}`,
		meter, camera.URL(), filepath.Join(folder, "camera.password"), v.address, filepath.Join(folder, "page.hash"), t.TempDir(), built)
	file := filepath.Join(folder, "meltwatch.yaml")
	writeFile(t, file, text, 0o600)
	env := hostEnv(t, slog.DiscardHandler)
	env.Program = filepath.Join(built, "meltwatch")
	a, err := New(Source{Path: file, Document: []byte(text)}, env)
	if err != nil {
		t.Fatal(err)
	}
	runAgent(t, a)
	v.until("/api/probe", `"last":null`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		parts := a.registry.Snapshot()
		if parts["meters"].Status == "ok" && parts["camera"].Status == "ok" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the watch does not work: %+v, %+v", parts["meters"], parts["camera"])
		}
	}
	if code, text := v.do("POST", "/login", map[string]string{"name": "Li", "password": "a long password"}); code != http.StatusOK {
		t.Fatal(code, text)
	}
	return a, v
}

// probed starts a probe and waits for its end.
func (v *visitor) probed(meanwhile func()) web.Probe {
	v.t.Helper()
	if code, text := v.do("POST", "/api/probe", struct{}{}); code != http.StatusOK || !strings.Contains(text, `"by":"Li"`) {
		v.t.Fatal(code, text)
	}
	meanwhile()
	text := v.until("/api/probe", `"running":null`)
	if strings.Contains(text, "geheim") {
		v.t.Errorf("a password is shown: %s", text)
	}
	var s web.Probing
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.Last == nil {
		v.t.Fatal(text, err)
	}
	return *s.Last
}

// untilCamera waits until the meters have been probed, and the camera is.
func (v *visitor) untilCamera() {
	v.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var s web.Probing
		_, text := v.do("GET", "/api/probe", nil)
		if err := json.Unmarshal([]byte(text), &s); err != nil || s.Running == nil || time.Now().After(deadline) {
			v.t.Fatalf("the camera is not probed: %s, %v", text, err)
		}
		if len(s.Running.Parts) == 1 {
			return
		}
	}
}

// realCurrents are 15,012, 14,890 and 15,100 A and a set-point of 15,000 A, as float32.
var realCurrents = []uint16{0x466A, 0x9000, 0x4668, 0xA800, 0x466B, 0xF000, 0x466A, 0x6000}

// A probe on the page of a real agent gives the readings with their verdict and the stream
// with its section, in a process of the lowest priority, while the watch goes on. One probe
// runs at a time, and it can be cancelled.
func TestDevicesAreProbedOnThePage(t *testing.T) {
	long(t)
	a, v := probingAgent(t, drivertest.Registers(t, realCurrents, nil))
	before := a.registry.Snapshot()
	last := v.probed(func() {
		if code, text := v.do("POST", "/api/probe", struct{}{}); code != http.StatusConflict {
			t.Errorf("a second one at a time: %d %s", code, text)
		}
		v.untilCamera()
		probeYields(t)
	})
	if last.Fault != "" || len(last.Parts) != 2 || last.By != "Li" {
		t.Fatalf("%+v", last)
	}
	want := &beside.Readings{Meter: "main", CurrentA: 15012, CurrentB: 14890, CurrentC: 15100, SetPoint: 15000, Verdict: beside.Plausible}
	if diff := cmp.Diff(want, last.Parts[0].Readings); diff != "" || last.Parts[0].Watch != beside.WatchReads || last.Parts[0].Findings[0].Status != beside.OK {
		t.Errorf("meters %+v: %s", last.Parts[0], diff)
	}
	camera := last.Parts[1]
	if camera.Watch != beside.WatchReads || !camera.Answered || camera.Stream == nil || camera.Stream.Video.Codec != "H264" || camera.Stream.Video.Width != 320 ||
		camera.Stream.Video.KeyFrameSeconds < 0.5 || !strings.Contains(camera.Stream.YAML, "crop: {x: 10, y: 20, width: 100, height: 100}") {
		t.Errorf("camera %+v, %+v", camera, camera.Stream)
	}
	after := a.registry.Snapshot()
	for _, part := range probedParts {
		for _, counter := range []string{"errors", "redials"} {
			if after[part].Counters[counter] != before[part].Counters[counter] || !after[part].Since.Equal(before[part].Since) {
				t.Errorf("the watch was disturbed: %s %+v, before %+v", part, after[part], before[part])
			}
		}
	}
	last = v.probed(func() {
		v.untilCamera()
		if code, text := v.do("POST", "/api/probe/cancel", struct{}{}); code != http.StatusOK {
			t.Error(code, text)
		}
	})
	if last.Fault != "cancelled by Li" || len(last.Parts) != 1 {
		t.Errorf("%+v", last)
	}
	if code, _ := v.do("POST", "/api/probe/cancel", struct{}{}); code != http.StatusConflict {
		t.Errorf("cancelled without one: %d", code)
	}
}

// probeYields checks that the probe has the lowest priority, and no secret on its command
// line.
func probeYields(t *testing.T) {
	t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range all {
		stat, err := p.Stat()
		if err != nil || stat.PPID != os.Getpid() {
			continue
		}
		line, err := p.CmdLine()
		if err != nil || len(line) < 2 || line[1] != "probe" {
			continue
		}
		found = true
		if stat.Nice != 19 || strings.Contains(strings.Join(line, " "), "geheim") {
			t.Errorf("%q has niceness %d", line, stat.Nice)
		}
	}
	if !found {
		t.Error("the probe has no process of its own")
	}
}

// A meter that serves one connection: the watch goes on, and the page calls a missing
// answer to the probe a note.
func TestProbeOfAMeterWithOneConnection(t *testing.T) {
	long(t)
	for holds, want := range map[drivertest.Hold]string{drivertest.Closes: beside.WatchReads, drivertest.Ignores: beside.WatchReads, drivertest.Replaces: beside.WatchAgain} {
		t.Run(string(holds), func(t *testing.T) {
			meter := &drivertest.Single{Holds: holds, Registers: realCurrents}
			a, v := probingAgent(t, meter.Serve(t))
			before := a.registry.Snapshot()["meters"]
			opened := meter.Opened()
			last := v.probed(func() {
				v.untilCamera()
				if code, text := v.do("POST", "/api/probe/cancel", struct{}{}); code != http.StatusOK { // of the camera
					t.Error(code, text)
				}
			})
			part := last.Parts[0]
			if part.Watch != want && !(holds == drivertest.Replaces && part.Watch == beside.WatchLost) {
				t.Errorf("%+v, want %s", part, want)
			}
			for _, f := range part.Findings {
				if f.Status == beside.Fail {
					t.Errorf("a fault is told of a device that the watch reads: %+v", f)
				}
			}
			after := a.registry.Snapshot()["meters"]
			errors, redials := after.Counters["errors"]-before.Counters["errors"], after.Counters["redials"]-before.Counters["redials"]
			if errors > 2 || redials > 2 || holds != drivertest.Replaces && errors+redials > 0 || meter.Opened()-opened > 4 {
				t.Errorf("the watch lost %d polls and connected %d times; %d connections", errors, redials, meter.Opened()-opened)
			}
			for deadline, polls := time.Now().Add(20*time.Second), after.Counters["polls"]+5; ; time.Sleep(50 * time.Millisecond) {
				if now := a.registry.Snapshot()["meters"]; now.Status == "ok" && now.Counters["polls"] >= polls {
					break
				} else if time.Now().After(deadline) {
					t.Fatalf("the watch does not go on: %+v", now)
				}
			}
		})
	}
}

// A device that the watch reads may leave the probe unanswered, which is a note. What became of the watch is told.
func TestProbeIsJudgedByTheWatch(t *testing.T) {
	state := func(status string, polls, redials uint64) health.Status {
		return health.Status{Status: status, Counters: map[string]uint64{"polls": polls, "redials": redials}}
	}
	for name, c := range map[string]struct {
		before, after health.Status
		answered      bool
		watch, status string
	}{
		"no answer beside a watch that reads":  {state("ok", 100, 0), state("ok", 120, 0), false, beside.WatchReads, beside.Warn},
		"an answer that does not fit":          {state("ok", 100, 0), state("ok", 120, 0), true, beside.WatchReads, beside.Fail},
		"no answer to either":                  {state("fault", 100, 9), state("fault", 120, 12), false, beside.WatchFault, beside.Fail},
		"not started yet":                      {state("starting", 0, 0), state("ok", 9, 0), false, beside.WatchFault, beside.Fail},
		"the watch was closed":                 {state("ok", 100, 0), state("ok", 120, 1), false, beside.WatchAgain, beside.Warn},
		"a device that closes after an answer": {state("ok", 100, 99), state("ok", 120, 119), true, beside.WatchReads, beside.Fail},
		"the watch failed":                     {state("ok", 100, 0), state("fault", 120, 1), false, beside.WatchLost, beside.Fail},
	} {
		part := beside.Part{Answered: c.answered, Findings: []beside.Finding{{Status: beside.OK}, {Status: beside.Fail}}}
		if withWatch(&part, c.before, c.after); part.Watch != c.watch || part.Findings[0].Status != beside.OK || part.Findings[1].Status != c.status {
			t.Errorf("%s: %+v, want %s, %s", name, part, c.watch, c.status)
		}
	}
}

// The watch that fails during a probe ends it, and only what is being probed counts.
func TestProbeStopsWhenTheWatchFails(t *testing.T) {
	for name, lost := range map[string]bool{"meters": true, "camera": false} {
		a := &Agent{registry: health.NewRegistry()}
		p := &prober{jobs: &jobs{agent: a}, log: slog.New(slog.DiscardHandler)}
		for _, part := range probedParts {
			a.registry.Add(part, time.Minute).OK()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*watchEvery)
		one := &probing{cancel: cancel, was: a.registry.Snapshot()["meters"]}
		a.registry.Add(name, time.Minute).Fault(errors.New("no answer"))
		p.guard(ctx, one)
		if one.lost != lost || lost != (len(one.Parts) == 1 && one.Parts[0].Watch == beside.WatchLost && one.Parts[0].Name == name) {
			t.Errorf("%s: %+v", name, one)
		}
		if err := p.took(one, beside.Part{Name: beside.Meters}); err != nil || len(one.Parts) != 1 {
			t.Errorf("%s: %+v, %v", name, one, err)
		}
		cancel()
	}
}

// Output that is not the command's is refused and bounded, however it is cut.
func TestOutputOfAProbe(t *testing.T) {
	const meters, camera = `{"part":"meters","findings":[],"answered":false}` + "\n", `{"part":"camera","findings":[],"answered":false}` + "\n"
	for output, want := range map[string]int{
		meters + camera: 2, meters: 1, "": 0, meters[:20]: 0, camera: -1, meters + meters: -1, meters + camera + camera: -1, "words\n": -1,
		`{"part":"x"}` + "\n": -1, strings.Repeat("x", maxProbeOutput+1): -1, `[` + "\n": -1, "null\n": -1,
	} {
		for _, cut := range []int{1, 7, 1 << 20} {
			p := &prober{jobs: &jobs{agent: &Agent{registry: health.NewRegistry()}}, log: slog.New(slog.DiscardHandler)}
			one, failed := &probing{}, false
			out := p.output(one)
			for rest := output; rest != "" && !failed; rest = rest[min(cut, len(rest)):] {
				_, err := out.Write([]byte(rest[:min(cut, len(rest))]))
				failed = err != nil
			}
			if failed != (want < 0) || !failed && len(one.Parts) != want {
				t.Errorf("%.60q cut at %d: failed %t, %d parts, want %d", output, cut, failed, len(one.Parts), want)
			}
		}
	}
}

func FuzzOutputOfAProbe(f *testing.F) {
	f.Add([]byte(`{"part":"meters","findings":[{"status":"fail","detail":"x"}],"answered":false}`+"\n"+`{"part":"camera","findings":[]}`+"\n"), 9)
	f.Add([]byte(`{"part":"meters","readings":{"current_a":1e400}}`+"\n"), 1)
	f.Fuzz(func(t *testing.T, output []byte, cut int) {
		p := &prober{jobs: &jobs{agent: &Agent{registry: health.NewRegistry()}}, log: slog.New(slog.DiscardHandler)}
		one := &probing{}
		out := p.output(one)
		cut = max(cut, 1)
		for rest := output; len(rest) > 0; rest = rest[min(cut, len(rest)):] {
			n, err := out.Write(rest[:min(cut, len(rest))])
			if err != nil {
				break
			}
			if n != min(cut, len(rest)) {
				t.Fatalf("took %d bytes", n)
			}
		}
		if len(out.rest) > maxProbeOutput || len(one.Parts) > len(probedParts) {
			t.Errorf("keeps %d bytes and %d parts", len(out.rest), len(one.Parts))
		}
	})
}
