package agent

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/serve"
)

func working() furnace.Scenario {
	return furnace.Scenario{Name: "working", Seed: 1, SetPoint: 15_000, Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 3600}}}
}

// One furnace with one fault after the other.
func TestFaultsAreNamedContainedAndHealed(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, working(), fmt.Sprintf(", metrics: {listen: \"127.0.0.1:%d\"}", freePort(t)))
	p.healthy()
	t.Run("camera", p.cameraFaults)
	t.Run("inference child", p.inferenceFaults)
	t.Run("inference child that stays faulty", p.faultyInference)
	t.Run("camera child", p.cameraChildFaults)
	t.Run("meter", p.meterFaults)
}

func (p *plant) cameraFaults(t *testing.T) {
	p.t = t
	for fault, name := range map[serve.CameraFault]string{
		serve.CameraFrozen: "frozen", serve.CameraStale: "stale", serve.CameraBlack: "black", serve.CameraAbsent: "absent",
	} {
		holds(t, "camera "+name, func() []measure {
			began := time.Now()
			if err := p.sim.SetCameraFault(fault); err != nil {
				t.Fatal(err)
			}
			named := p.within(patience, "senses.video "+name, func(s message.State) bool { return s.Senses.Video == name })
			p.metricsTell(`meltwatch_sense_status{sense="video",status="` + name + `"} 1`)
			time.Sleep(time.Second)
			if err := p.sim.SetCameraFault(serve.CameraFine); err != nil {
				t.Fatal(err)
			}
			healed := p.within(patience, "senses.video ok", func(s message.State) bool { return s.Senses.Video == "ok" })
			return append(p.streams(began), measure{"named", named, videoNamed}, measure{"healed", healed, videoHealed})
		})
	}
}

// metricsTell waits until the metrics hold a line, and checks both probes meanwhile: one
// sense or the model away is a fault of that part, and the watch goes on.
func (p *plant) metricsTell(line string) {
	p.t.Helper()
	get := func(path string) (int, string) {
		answer, err := http.Get("http://" + p.agent.config.Load().Metrics.Listen + path)
		if err != nil {
			p.t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			p.t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, text := get("/metrics")
		if strings.Contains(text, line+"\n") {
			break
		}
		if time.Since(began) > 3*time.Second {
			p.t.Errorf("the metrics do not hold %s", line)
			return
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, text := get(path); status != http.StatusOK {
			p.t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// streams returns the longest pauses of current and state since a time.
func (p *plant) streams(since time.Time) []measure {
	return []measure{
		{"longest pause of current", p.longestGap(since), currentPause},
		{"longest pause of state", p.longestSilence(since), statePause},
	}
}

// slowStart returns a model child that starts as slowly as on a slow box. A fast one
// may be back before the next second is due, and the fall-back to the rule would not be
// visible.
func slowStart(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slow")
	writeFile(t, path, fmt.Sprintf("#!/bin/bash\nsleep 3\nexec -a \"$0\" %q \"$@\"\n", filepath.Join(needPrograms(t), "meltwatch-infer")), 0o700)
	return path
}

// The model's verdicts may pause for two seconds. Then the rule must decide, with the
// cause in an event, until another child has loaded the model.
func (p *plant) inferenceFaults(t *testing.T) {
	p.t = t
	p.install("meltwatch-infer", slowStart(t))
	defer p.install("meltwatch-infer", filepath.Join(needPrograms(t), "meltwatch-infer"))
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		holds(t, fmt.Sprintf("inference child, %s", signal), func() []measure {
			p.ruleReady()
			began, pid := time.Now(), p.childPID("meltwatch-infer")
			if err := syscall.Kill(pid, signal); err != nil {
				t.Fatal(err)
			}
			fell := p.within(patience, "source rule", func(s message.State) bool { return s.Source == "rule" })
			p.metricsTell(`meltwatch_verdict_source{status="rule"} 1`)
			p.within(patience, "source model", func(s message.State) bool { return s.Source == "model" })
			back := time.Since(began).Round(10 * time.Millisecond)
			if p.otherChild("meltwatch-infer", pid) == 0 {
				t.Errorf("%s: the model decides again, and no other child runs", signal)
			}
			p.causeTold(began)
			return append(p.streams(began), measure{"rule", fell, ruleDecides}, measure{"model back", back, modelReplaced})
		})
	}
}

// causeTold checks that an event reports the fall-back to the rule and its cause.
func (p *plant) causeTold(since time.Time) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Time.After(since) && e.Kind == "source" && e.To == "rule" {
			if e.Cause == "" {
				p.t.Errorf("event %+v has no cause", e)
			}
			return
		}
	}
	p.t.Errorf("no event reports the fall-back to the rule since %s", since.Format(time.RFC3339))
}

// A child that exits at once or answers NaN is restarted repeatedly. Meanwhile the rule
// decides every second, and samples arrive.
func (p *plant) faultyInference(t *testing.T) {
	p.t = t
	well := filepath.Join(needPrograms(t), "meltwatch-infer")
	exits := filepath.Join(t.TempDir(), "exits")
	writeFile(t, exits, "#!/bin/sh\nexit 3\n", 0o700)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, ill := range map[string]string{"exits at once": exits, "answers NaN": self} {
		holds(t, "inference child that "+name, func() []measure {
			p.ruleReady()
			p.install("meltwatch-infer", ill)
			began := time.Now()
			if err := syscall.Kill(p.childPID("meltwatch-infer"), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			fell := p.within(patience, "source rule", func(s message.State) bool { return s.Source == "rule" })
			ill := time.Now()
			time.Sleep(10 * time.Second)
			if sources := p.sourcesSince(ill); sources["model"]+sources["none"] > 0 || sources["rule"] < 8 {
				t.Errorf("child that %s: ten seconds were decided by %v", name, sources)
			}
			p.install("meltwatch-infer", well)
			healed := p.within(patience, "source model", func(s message.State) bool { return s.Source == "model" })
			return append(p.streams(began), measure{"rule", fell, ruleDecides}, measure{"model back", healed, modelReplaced})
		})
	}
}

func (p *plant) cameraChildFaults(t *testing.T) {
	p.t = t
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		holds(t, fmt.Sprintf("camera child, %s", signal), func() []measure {
			p.healthy()
			began := time.Now()
			if err := syscall.Kill(p.childPID("meltwatch-camera"), signal); err != nil {
				t.Fatal(err)
			}
			named := p.within(patience, "senses.video not ok", func(s message.State) bool { return s.Senses.Video != "ok" })
			back := p.within(patience, "senses.video ok", func(s message.State) bool { return s.Senses.Video == "ok" })
			sources := p.sourcesSince(began)
			return append(p.streams(began), measure{"named", named, videoNamed}, measure{"back", named + back, cameraReplaced},
				measure{"without the model", time.Duration(sources["rule"]+sources["none"]) * time.Second, 0})
		})
	}
}

func (p *plant) meterFaults(t *testing.T) {
	p.t = t
	for _, fault := range serve.MeterFaults() {
		if fault == serve.MeterFine || fault == serve.MeterOff || fault == serve.MeterStuck {
			continue // the sense stays ok during the last two
		}
		length, limit := 3*time.Second, meterHealed
		if fault == serve.MeterDown {
			length, limit = time.Minute, meterRedialed
		}
		holds(t, fmt.Sprintf("meter %s for %s", fault, length), func() []measure {
			p.healthy()
			began := time.Now()
			if err := p.sim.SetMeterFault(fault); err != nil {
				t.Fatal(err)
			}
			named := p.within(patience, "senses.current not ok", func(s message.State) bool { return s.Senses.Current != "ok" })
			p.metricsTell(`meltwatch_sense_status{sense="current",status="ok"} 0`)
			time.Sleep(time.Until(began.Add(length)))
			if err := p.sim.SetMeterFault(serve.MeterFine); err != nil {
				t.Fatal(err)
			}
			healed := p.within(patience, "senses.current ok", func(s message.State) bool { return s.Senses.Current == "ok" })
			p.plausibleSince(began)
			blind := time.Duration(p.sourcesSince(began)["none"]) * time.Second
			return []measure{
				{"without a verdict, though the camera saw", blind, 0},
				{"named", named, currentNamed}, {"healed", healed, limit},
				{"longest pause of state", p.longestSilence(began), statePause},
			}
		})
	}
}

// plausibleSince checks that every sample is plausible for a working furnace: a reply
// to another request would be a set-point, a voltage or noise.
func (p *plant) plausibleSince(since time.Time) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.samples {
		if s.at.Before(since) {
			continue
		}
		if s.SetPoint != 15_000 {
			p.t.Errorf("set-point %v at %s, want 15000", s.SetPoint, s.Time)
		}
		for _, amperes := range []float64{s.A, s.B, s.C} {
			if amperes < 50 || amperes > 20_000 {
				p.t.Errorf("phase at %v A at %s", amperes, s.Time)
			}
		}
	}
}

func TestStuckRegistersAreNamed(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, working())
	holds(t, "stuck registers", func() []measure {
		p.healthy()
		if err := p.sim.SetMeterFault(serve.MeterStuck); err != nil {
			t.Fatal(err)
		}
		named := p.within(patience, "senses.current frozen", func(s message.State) bool { return s.Senses.Current == "frozen" })
		if err := p.sim.SetMeterFault(serve.MeterFine); err != nil {
			t.Fatal(err)
		}
		healed := p.within(patience, "senses.current ok", func(s message.State) bool { return s.Senses.Current == "ok" })
		return []measure{{"named", named, currentFrozen}, {"healed", healed, meterHealed}}
	})
}

// A tripped furnace draws no current, which has no variation.
func TestTripIsOffAndNeverAbnormal(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, furnace.Scenario{Name: "trip", Seed: 2, SetPoint: 15_000, Segments: []furnace.Segment{
		{State: furnace.Normal, Seconds: 45},
		{State: furnace.Trip, Seconds: 40},
		{State: furnace.Normal, Seconds: 600},
	}})
	p.within(100*time.Second, "off", func(s message.State) bool { return s.State == "off" })
	p.within(60*time.Second, "warming after the restart", func(s message.State) bool { return s.State == "warming" })
	time.Sleep(20 * time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.states {
		if s.State.State == "abnormal" {
			t.Fatalf("abnormal at %s, p %v by %s", s.Time, s.PMean, s.Source)
		}
	}
}
