// Package parity runs one melt through camera, meter and agent in real time, and through
// the trainer's offline evaluation, and compares them second by second.
package parity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
	"meltwatch/simulator/furnace"
)

// Options set the melt and the programs.
type Options struct {
	Programs rig.Programs
	Minutes  float64 // of the melt, which runs in real time
	Episodes int     // number of abnormal episodes
	Seed     uint64  // draws furnace, noise and disturbances
	Python   string  // interpreter with the packages of training
}

const site = "agree"

// Run evaluates one melt offline, runs it through the real chain, and compares the
// decisions of each second.
func (o Options) Run(ctx context.Context, out io.Writer) (err error) {
	melt, err := o.scenario()
	if err != nil {
		return err
	}
	if err := o.checkPython(ctx); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "meltwatch-agree-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	text, err := yaml.Marshal(melt)
	if err != nil {
		return err
	}
	scenario := filepath.Join(folder, "scenario.yaml")
	if err := os.WriteFile(scenario, text, 0o600); err != nil {
		return err
	}
	// Offline goes first: the live melt then keeps the processor to itself.
	offline, err := o.offline(ctx, folder, scenario, int(melt.Seconds()))
	if err != nil {
		return err
	}
	collected := &states{}
	served, err := o.live(ctx, collected, scenario, melt.Seconds())
	if err != nil {
		return err
	}
	found := compare(onSeconds(collected.list, served.Start, len(offline.P)), offline)
	return errors.Join(o.report(out, collected.list, served, found), found.fault())
}

const (
	rampSeconds     = 120.0
	recoverySeconds = 60.0
	// rampUnscored is about the part of a ramp before its label changes.
	rampUnscored = 36.0
)

// scenario returns a melt that begins in normal work and ends abnormal. The stretches
// between the ramps are long enough for each to hold the same number of seconds far from
// a change of the label.
func (o Options) scenario() (furnace.Scenario, error) {
	const scored = rampSeconds - rampUnscored // of a ramp
	s := furnace.Scenario{Name: "agree", Seed: o.Seed}
	for i := range o.Episodes {
		normal, abnormal := 2.0*settledAfter, 2.0*settledAfter-scored
		if i == 0 {
			normal -= settledAfter // the label does not change at the start
		}
		if i == o.Episodes-1 {
			abnormal -= settledAfter // or at the end
		}
		s.Segments = append(s.Segments, furnace.Segment{State: furnace.Normal, Seconds: normal},
			furnace.Segment{State: furnace.Ramp, Seconds: rampSeconds}, furnace.Segment{State: furnace.Abnormal, Seconds: abnormal})
		if i < o.Episodes-1 {
			s.Segments = append(s.Segments, furnace.Segment{State: furnace.Recovery, Seconds: recoverySeconds})
		}
	}
	far := math.Floor((60*o.Minutes - s.Seconds()) / float64(max(2*o.Episodes, 1))) // seconds a stretch
	if o.Episodes < 1 || far < 30 {
		return s, fmt.Errorf("%g minutes with %d episodes leave no seconds further than %d s from a change of the label: take more minutes, and one episode at least",
			o.Minutes, o.Episodes, settledAfter)
	}
	for i := range s.Segments {
		if state := s.Segments[i].State; state == furnace.Normal || state == furnace.Abnormal {
			s.Segments[i].Seconds += far
		}
	}
	return furnace.Disturb(s, o.Seed, o.Seed, o.Seed), nil
}

// live runs the melt in real time and returns the simulator's truth at its end.
func (o Options) live(ctx context.Context, collected *states, scenario string, seconds float64) (melt servedMelt, err error) {
	p := &rig.Plant{
		Programs: o.Programs, Camera: true, Take: collected.take,
		Melt: []string{"--scenario", scenario, "--seed", strconv.FormatUint(o.Seed, 10)},
	}
	err = p.Start(ctx, site)
	if err == nil {
		melt, err = truth(ctx, p.Control)
	}
	if err == nil {
		// The verdict of the last second takes a moment to arrive.
		end := melt.Start.Add(time.Duration(seconds*float64(time.Second)) + 3*time.Second)
		select {
		case <-time.After(time.Until(end)):
			melt, err = truth(ctx, p.Control)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return melt, errors.Join(err, p.Stop())
}

// servedMelt is the part of the simulator's truth that matters here.
type servedMelt struct {
	Start         time.Time `json:"start"`
	SkippedFrames uint64    `json:"skipped_frames"`
}

func truth(ctx context.Context, url string) (melt servedMelt, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return melt, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return melt, fmt.Errorf("ask the simulator: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&melt); err != nil || melt.Start.IsZero() {
		return melt, errors.Join(errors.New("ask the simulator: missing start in its truth"), err)
	}
	return melt, nil
}

// states keeps every state message.
type states struct {
	mu   sync.Mutex
	list []message.State // read after the plant has stopped
}

func (s *states) take(topic string, payload []byte) {
	// A state that a busy broker acknowledged late arrives as history too.
	if strings.TrimPrefix(strings.TrimPrefix(topic, rig.Root(site)), message.TopicHistory) != message.TopicState {
		return
	}
	var state message.State
	if json.Unmarshal(payload, &state) != nil {
		return // the second counts as silent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, state)
}

// offline writes the same melt as a data set and has the trainer evaluate it.
func (o Options) offline(ctx context.Context, folder, scenario string, seconds int) (melt offlineMelt, err error) {
	data := filepath.Join(folder, "data")
	if _, err := output(ctx, filepath.Join(o.Programs.Bin, "furnace-sim"), "dataset", "--out", data, "--scenario", scenario,
		"--seed", strconv.FormatUint(o.Seed, 10), "--seconds", strconv.Itoa(seconds), "--batches", "1", "--train", "0", "--val", "0"); err != nil {
		return melt, err
	}
	text, err := output(ctx, o.Python, "-m", "inference.train.agree", "--data", data, "--model", o.Programs.Model)
	if err != nil {
		return melt, err
	}
	var batches map[string]offlineMelt
	if err := json.Unmarshal(text, &batches); err != nil || len(batches) != 1 {
		return melt, errors.Join(fmt.Errorf("offline evaluation: %d melts in its answer", len(batches)), err)
	}
	for _, melt = range batches {
	}
	return melt, melt.check(seconds)
}

// missingPackages prints which packages of offline evaluation the interpreter lacks. It loads
// none, because that takes seconds.
const missingPackages = `import importlib.util
print(" ".join(name for name in ("keras", "numpy", "tensorflow") if importlib.util.find_spec(name) is None))`

// checkPython returns an error that names the remedy if the interpreter or its packages are
// missing.
func (o Options) checkPython(ctx context.Context) error {
	const remedy = "run make deps-train, or name an interpreter that has the packages for training with --python"
	if _, err := exec.LookPath(o.Python); err != nil {
		return fmt.Errorf("offline evaluation needs Python: %w: %s", err, remedy)
	}
	missing, err := output(ctx, o.Python, "-c", missingPackages)
	if err != nil {
		return err
	}
	if names := strings.Fields(string(missing)); len(names) > 0 {
		return fmt.Errorf("offline evaluation needs packages that %s lacks (%s): %s", o.Python, strings.Join(names, ", "), remedy)
	}
	return nil
}

// output runs a program and returns what it prints.
func output(ctx context.Context, program string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	said := &rig.Buffer{}
	command.Stderr = said
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", program, arguments[0], err, said.String())
	}
	return text, nil
}
