package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"meltwatch/agent/mqtt"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/serve"
)

// slack is added to limits of the specification where a loaded machine, not the
// agent, may be late; what was measured is logged.
const slack = 2 * time.Second

func working() furnace.Scenario {
	return furnace.Scenario{Name: "working", Seed: 1, SetPoint: 15_000, Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 3600}}}
}

// One furnace, one fault after the other, as a shift of bad luck.
func TestFaultsAreNamedContainedAndHealed(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, working())
	p.healthy()
	t.Run("camera", p.cameraFaults)
	t.Run("inference child", p.inferenceFaults)
	t.Run("inference child that stays ill", p.illInference)
	t.Run("camera child", p.cameraChildFaults)
	t.Run("meter", p.meterFaults)
}

func (p *plant) cameraFaults(t *testing.T) {
	p.t = t
	for fault, name := range map[serve.CameraFault]string{
		serve.CameraFrozen: "frozen", serve.CameraStale: "stale", serve.CameraBlack: "black", serve.CameraAbsent: "absent",
	} {
		began := time.Now()
		if err := p.sim.SetCameraFault(fault); err != nil {
			t.Fatal(err)
		}
		named := p.within(3*time.Second+slack, "senses.video "+name, func(s mqtt.State) bool { return s.Senses.Video == name })
		time.Sleep(time.Second)
		if err := p.sim.SetCameraFault(serve.CameraFine); err != nil {
			t.Fatal(err)
		}
		healed := p.within(10*time.Second+slack, "senses.video ok", func(s mqtt.State) bool { return s.Senses.Video == "ok" })
		t.Logf("camera %s: named after %s, healed after %s", name, named, healed)
		if gap := p.longestGap(began); gap > time.Second {
			t.Errorf("camera %s: current stood still for %s", name, gap)
		}
	}
}

// The model's verdicts may pause for two seconds and then must give way to the
// rule. A killed child may be back before the next second is due, so that no
// verdict is missed at all; a stopped one is not.
func (p *plant) inferenceFaults(t *testing.T) {
	p.t = t
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		p.ruleReady()
		began, pid := time.Now(), p.childPID("meltwatch-infer")
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
		if signal == syscall.SIGSTOP {
			fell := p.within(2*time.Second+slack, "source rule", func(s mqtt.State) bool { return s.Source == "rule" })
			t.Logf("inference child, %s: rule after %s", signal, fell)
		}
		for deadline := began.Add(15*time.Second + slack); p.otherChild("meltwatch-infer", pid) == 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: no new child", signal)
			}
			time.Sleep(20 * time.Millisecond)
		}
		p.within(time.Until(began.Add(15*time.Second+slack)), "source model", func(s mqtt.State) bool { return s.Source == "model" })
		t.Logf("inference child, %s: model back %s after it", signal, time.Since(began).Round(10*time.Millisecond))
		if pause := p.longestSilence(began); pause > 2*time.Second+slack/2 {
			t.Errorf("%s: no state for %s", signal, pause)
		}
		if gap := p.longestGap(began); gap > time.Second {
			t.Errorf("%s: current stood still for %s", signal, gap)
		}
	}
}

// A child that exits at once or answers what is no number is started again and
// again; meanwhile the rule decides every second, and the current flows.
func (p *plant) illInference(t *testing.T) {
	p.t = t
	well := filepath.Join(needPrograms(t), "meltwatch-infer")
	exits := filepath.Join(t.TempDir(), "exits")
	writeFile(t, exits, "#!/bin/sh\nexit 3\n", 0o700)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, ill := range map[string]string{"exits at once": exits, "answers NaN": self} {
		p.ruleReady()
		p.install("meltwatch-infer", ill)
		began := time.Now()
		if err := syscall.Kill(p.childPID("meltwatch-infer"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		fell := p.within(2*time.Second+slack, "source rule", func(s mqtt.State) bool { return s.Source == "rule" })
		ill := time.Now()
		time.Sleep(10 * time.Second)
		if sources := p.sourcesSince(ill); sources["model"]+sources["none"] > 0 || sources["rule"] < 8 {
			t.Errorf("child that %s: ten seconds were decided by %v", name, sources)
		}
		p.install("meltwatch-infer", well)
		healed := p.within(15*time.Second+slack, "source model", func(s mqtt.State) bool { return s.Source == "model" })
		t.Logf("inference child that %s: rule after %s, model back %s after it was well", name, fell, healed)
		if gap := p.longestGap(began); gap > time.Second {
			t.Errorf("child that %s: current stood still for %s", name, gap)
		}
	}
}

func (p *plant) cameraChildFaults(t *testing.T) {
	p.t = t
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		p.healthy()
		began := time.Now()
		if err := syscall.Kill(p.childPID("meltwatch-camera"), signal); err != nil {
			t.Fatal(err)
		}
		named := p.within(3*time.Second+slack, "senses.video not ok", func(s mqtt.State) bool { return s.Senses.Video != "ok" })
		healed := p.within(20*time.Second+slack, "senses.video ok", func(s mqtt.State) bool { return s.Senses.Video == "ok" })
		t.Logf("camera child, %s: named after %s, back after %s more", signal, named, healed)
		if sources := p.sourcesSince(began); sources["rule"]+sources["none"] > 0 {
			t.Errorf("%s: the model was touched: %v", signal, sources)
		}
		if gap := p.longestGap(began); gap > time.Second {
			t.Errorf("%s: current stood still for %s", signal, gap)
		}
	}
}

func (p *plant) meterFaults(t *testing.T) {
	p.t = t
	for _, fault := range serve.MeterFaults() {
		if fault == serve.MeterFine || fault == serve.MeterOff || fault == serve.MeterStuck {
			continue // the last two answer well: they are the state's business
		}
		length, limit := 3*time.Second, 5*time.Second
		if fault == serve.MeterDown {
			length, limit = time.Minute, 10*time.Second
		}
		p.healthy()
		began := time.Now()
		if err := p.sim.SetMeterFault(fault); err != nil {
			t.Fatal(err)
		}
		time.Sleep(length)
		if err := p.sim.SetMeterFault(serve.MeterFine); err != nil {
			t.Fatal(err)
		}
		healed := p.within(limit+slack, "senses.current ok", func(s mqtt.State) bool { return s.Senses.Current == "ok" })
		t.Logf("meter %s for %s: healed after %s", fault, length, healed)
		p.plausibleSince(began)
		if sources := p.sourcesSince(began); sources["none"] > 0 {
			t.Errorf("meter %s: %d seconds without a verdict though the camera saw", fault, sources["none"])
		}
	}
}

// plausibleSince holds every sample against what a furnace at work can draw: a
// reply taken for another's would be a set-point, a voltage or noise.
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
	p.healthy()
	if err := p.sim.SetMeterFault(serve.MeterStuck); err != nil {
		t.Fatal(err)
	}
	p.within(20*time.Second+slack, "senses.current frozen", func(s mqtt.State) bool { return s.Senses.Current == "frozen" })
	if err := p.sim.SetMeterFault(serve.MeterFine); err != nil {
		t.Fatal(err)
	}
	p.within(5*time.Second+slack, "senses.current ok", func(s mqtt.State) bool { return s.Senses.Current == "ok" })
}

// A furnace that trips draws nothing, as quietly as can be.
func TestTripIsOffAndNeverAbnormal(t *testing.T) {
	long(t)
	t.Parallel()
	p := newPlant(t, furnace.Scenario{Name: "trip", Seed: 2, SetPoint: 15_000, Segments: []furnace.Segment{
		{State: furnace.Normal, Seconds: 45},
		{State: furnace.Trip, Seconds: 40},
		{State: furnace.Normal, Seconds: 600},
	}})
	p.within(100*time.Second, "off", func(s mqtt.State) bool { return s.State == "off" })
	p.within(60*time.Second, "warming after the restart", func(s mqtt.State) bool { return s.State == "warming" })
	time.Sleep(20 * time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.states {
		if s.State.State == "abnormal" {
			t.Fatalf("abnormal at %s, p %v by %s", s.Time, s.PMean, s.Source)
		}
	}
}
