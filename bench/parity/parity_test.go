package parity

import (
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/message"
	"meltwatch/simulator/furnace"
)

func TestScenarioHoldsAsManyFarSecondsAsItCan(t *testing.T) {
	for _, c := range []Options{{Minutes: 20, Episodes: 2, Seed: 3}, {Minutes: 6, Episodes: 1, Seed: 4}} {
		s, err := c.scenario()
		if err != nil {
			t.Fatal(err)
		}
		if short := 60*c.Minutes - s.Seconds(); s.Validate() != nil || short < 0 || short >= float64(2*c.Episodes) {
			t.Errorf("%g minutes became %g s: %v", c.Minutes, s.Seconds(), s.Validate())
		}
		f := furnace.New(s, furnace.NewBatch(c.Seed, c.Seed), c.Seed, c.Seed)
		var label []int
		for i := range int(s.Seconds()) {
			label = append(label, int(f.AdvanceTo(float64(i)).Truth.Label))
		}
		far := map[int]int{}
		for i, near := range nearChange(label, settledAfter) {
			if !near {
				far[label[i]]++
			}
		}
		if far[0] < 30*c.Episodes || far[1] < 30*c.Episodes || far[-1] > 0 {
			t.Errorf("%g minutes: far seconds by label %v", c.Minutes, far)
		}
	}
	for _, c := range []Options{{Minutes: 4, Episodes: 1}, {Minutes: 20, Episodes: 0}, {Minutes: 8, Episodes: 2}} {
		if _, err := c.scenario(); err == nil {
			t.Errorf("%g minutes with %d episodes are taken", c.Minutes, c.Episodes)
		}
	}
}

// Without Python or the packages for training, the error names the remedy, before a data set is
// made.
func TestMissingPackagesAreNamed(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	bare := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(bare, []byte("#!/bin/sh\nexec "+python+" -I -S \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for interpreter, want := range map[string]string{bare: "(keras, numpy, tensorflow)", "/nowhere/python": "no such file"} {
		err := Options{Minutes: 6, Episodes: 1, Python: interpreter}.Run(t.Context(), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "make deps-train") || strings.Contains(err.Error(), "Traceback") {
			t.Errorf("%s: %v", interpreter, err)
		}
	}
}

func TestSecondsReachSoFarFromAChange(t *testing.T) {
	near := nearChange([]int{0, 0, 0, 0, 1, 1, 1, 1, 1, -1}, 2)
	if want := []bool{false, false, true, true, true, true, true, true, true, true}; !slices.Equal(near, want) {
		t.Errorf("near a change: %v, want %v", near, want)
	}
}

func TestMessagesComeOnTheNearestSecond(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds, p float64) message.State {
		return message.State{
			Stamp:     message.Stamp{Time: start.Add(time.Duration(seconds * float64(time.Second)))},
			PAbnormal: p, Source: "model", State: "abnormal",
		}
	}
	live := onSeconds([]message.State{
		at(-0.8, 0.9), at(0.4, 0.1), at(1.4, 0.2), at(0.9, 0.3), at(1.2, 0.4), // two more on second 1: 0.9 is nearer
		at(3, 0.5), at(3, 0.6), // said again
		at(4.6, 0.9), // beyond the end
	}, start, 5)
	var p []float64
	for _, s := range live {
		p = append(p, s.p)
	}
	if want := []float64{0.1, 0.3, 0, 0.6, 0}; !slices.Equal(p, want) {
		t.Errorf("p by second %v, want %v", p, want)
	}
	if live[2].source != "" || !live[3].abnormal {
		t.Errorf("second 2 %+v, second 3 %+v", live[2], live[3])
	}
}

// melt is both sides of a melt of 600 s: normal, abnormal from 300 on, and nothing
// decided for 10 s.
func meltOfBoth() ([]liveSecond, offlineMelt) {
	live, offline := make([]liveSecond, 600), offlineMelt{}
	for i := range live {
		abnormal := i >= 300
		p := map[bool]float64{false: 0.1, true: 0.8}[abnormal]
		live[i] = liveSecond{p: p + 0.1, source: "model", abnormal: abnormal}
		if i < 10 {
			live[i].source = "none"
		}
		offline.P = append(offline.P, p)
		offline.Decided = append(offline.Decided, i >= 5)
		offline.Abnormal = append(offline.Abnormal, abnormal)
		offline.Label = append(offline.Label, map[bool]int{false: 0, true: 1}[abnormal])
	}
	return live, offline
}

func TestAgreementIsCounted(t *testing.T) {
	live, offline := meltOfBoth()
	offline.Label[299] = -1
	live[310].abnormal = false            // near a change
	live[550].abnormal = false            // far from it
	live[551] = liveSecond{}              // silent
	live[552].source = "rule"             // counts for the state, not for p
	live[150].p, offline.P[151] = 0.9, .6 // each on the wrong side once
	c := compare(live, offline)
	if c.from != 10 || c.silent != 1 || c.otherwise != 1 {
		t.Errorf("from second %d, %d silent, %d by others; want 10, 1, 1", c.from, c.silent, c.otherwise)
	}
	if c.all.seconds != 590 || c.all.same != 587 || c.all.decided != 588 || c.notScored.seconds != 1 || c.notScored.scored != 0 {
		t.Errorf("all %+v, not scored %+v", c.all, c.notScored)
	}
	// Changes at 299 and 300: seconds 10–178 and 421–599 are far.
	if c.settledNormal != 169 || c.settledAbnormal != 179 || c.settled.seconds != 348 || c.settled.same != 346 {
		t.Errorf("settled %+v, %d normal, %d abnormal", c.settled, c.settledNormal, c.settledAbnormal)
	}
	if c.normal.liveRight != 288 || c.normal.offlineRight != 288 || c.abnormal.liveRight != 298 {
		t.Errorf("normal %+v, abnormal %+v", c.normal, c.abnormal)
	}
	if got := c.normal.furthest; math.Abs(got-0.8) > 1e-9 { // second 150
		t.Errorf("p is %g apart at most, want 0.8", got)
	}
	if mean := c.abnormal.apart / float64(c.abnormal.decided); math.Abs(mean-0.1) > 1e-9 {
		t.Errorf("p is %g apart, want 0.1", mean)
	}
	if err := c.fault(); err != nil { // 346 of 348
		t.Error(err)
	}
}

func TestDisagreementFails(t *testing.T) {
	live, offline := meltOfBoth()
	for i := range 4 { // of 349
		live[550+i].abnormal = false
	}
	if err := compare(live, offline).fault(); err == nil || !strings.Contains(err.Error(), "98.85 %") {
		t.Errorf("fault %v", err)
	}
	if err := compare(live[:400], offline).fault(); err == nil || !strings.Contains(err.Error(), "0 abnormal seconds") {
		t.Errorf("fault of a melt that shows nothing abnormal for long: %v", err)
	}
	if err := compare(make([]liveSecond, 600), offline).fault(); err == nil {
		t.Error("a silent agent passed")
	}
}
