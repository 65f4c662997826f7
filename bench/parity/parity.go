// Package parity leads one melt through camera, meter and agent in real time, and the
// same one through the trainer's offline judging, and compares second by second.
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

	"meltwatch/agent/mqtt"
	"meltwatch/bench/rig"
	"meltwatch/simulator/furnace"
)

// Options say which melt is compared and with what.
type Options struct {
	Programs rig.Programs
	Minutes  float64 // of the melt, which runs in real time
	Episodes int     // how often the shell gives way in it
	Seed     uint64  // draws furnace, noise and disturbances
	Python   string  // interpreter with the packages of training
}

const root = "meltwatch/agree/f1/"

// Run leads one melt through the trainer's offline judging and through the real
// chain, and compares what either decided of each second.
func (c Options) Run(ctx context.Context, out io.Writer) (err error) {
	melt, err := c.scenario()
	if err != nil {
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
	// First, because what is missing shows at once, and not beside the live melt,
	// from which it would take the processor.
	offline, err := c.offline(ctx, folder, scenario, int(melt.Seconds()))
	if err != nil {
		return err
	}
	heard := &states{}
	served, err := c.live(ctx, heard, scenario, melt.Seconds())
	if err != nil {
		return err
	}
	found := compare(onSeconds(heard.list, served.Start, len(offline.P)), offline)
	return errors.Join(c.report(out, heard.list, served, found), found.fault())
}

const (
	rampSeconds     = 120.0
	recoverySeconds = 60.0
	// rampUnscored is about how much of a ramp passes before its label changes.
	rampUnscored = 36.0
)

// scenario is a melt that begins in normal work and ends abnormal. The stretches
// between the ramps are as long as it takes for each to hold as many seconds that
// are far from a change of the label.
func (c Options) scenario() (furnace.Scenario, error) {
	const scored = rampSeconds - rampUnscored // of a ramp
	s := furnace.Scenario{Name: "agree", Seed: c.Seed}
	for i := range c.Episodes {
		normal, abnormal := 2.0*settledAfter, 2.0*settledAfter-scored
		if i == 0 {
			normal -= settledAfter // nothing changes at the start,
		}
		if i == c.Episodes-1 {
			abnormal -= settledAfter // nor at the end
		}
		s.Segments = append(s.Segments, furnace.Segment{State: furnace.Normal, Seconds: normal},
			furnace.Segment{State: furnace.Ramp, Seconds: rampSeconds}, furnace.Segment{State: furnace.Abnormal, Seconds: abnormal})
		if i < c.Episodes-1 {
			s.Segments = append(s.Segments, furnace.Segment{State: furnace.Recovery, Seconds: recoverySeconds})
		}
	}
	far := math.Floor((60*c.Minutes - s.Seconds()) / float64(max(2*c.Episodes, 1))) // seconds a stretch
	if c.Episodes < 1 || far < 30 {
		return s, fmt.Errorf("%g minutes with %d episodes leave no seconds further than %d s from a change of the label: take more minutes, and one episode at least",
			c.Minutes, c.Episodes, settledAfter)
	}
	for i := range s.Segments {
		if state := s.Segments[i].State; state == furnace.Normal || state == furnace.Abnormal {
			s.Segments[i].Seconds += far
		}
	}
	return furnace.Disturb(s, c.Seed, c.Seed, c.Seed), nil
}

// live runs the melt on the clock, and returns what the simulator says at its end.
func (c Options) live(ctx context.Context, heard *states, scenario string, seconds float64) (melt servedMelt, err error) {
	p := &rig.Plant{
		Programs: c.Programs, Camera: true, Take: heard.take,
		Melt: []string{"--scenario", scenario, "--seed", strconv.FormatUint(c.Seed, 10)},
	}
	err = p.Start(ctx, "agree")
	if err == nil {
		melt, err = truth(ctx, p.Control)
	}
	if err == nil {
		// The last second's verdict takes a moment to arrive.
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

// servedMelt is of the simulator's truth what matters here.
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
		return melt, errors.Join(errors.New("ask the simulator: no start in its truth"), err)
	}
	return melt, nil
}

// states keeps every state message.
type states struct {
	mu   sync.Mutex
	list []mqtt.State // to be read when the plant has stopped
}

func (s *states) take(topic string, payload []byte) {
	// What a busy broker acknowledged late comes as history too.
	if strings.TrimPrefix(strings.TrimPrefix(topic, root), "history/") != mqtt.TopicState {
		return
	}
	var state mqtt.State
	if json.Unmarshal(payload, &state) != nil {
		return // the second stays rig.Silent, which counts
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, state)
}

// offline writes the same melt as a data set and has the trainer's side judge it.
func (c Options) offline(ctx context.Context, folder, scenario string, seconds int) (melt offlineMelt, err error) {
	data := filepath.Join(folder, "data")
	if _, err := output(ctx, filepath.Join(c.Programs.Bin, "furnace-sim"), "dataset", "--out", data, "--scenario", scenario,
		"--seed", strconv.FormatUint(c.Seed, 10), "--seconds", strconv.Itoa(seconds), "--batches", "1", "--train", "0", "--val", "0"); err != nil {
		return melt, err
	}
	text, err := output(ctx, c.Python, "-m", "inference.train.agree", "--data", data, "--model", c.Programs.Model)
	if err != nil {
		return melt, err
	}
	var batches map[string]offlineMelt
	if err := json.Unmarshal(text, &batches); err != nil || len(batches) != 1 {
		return melt, errors.Join(fmt.Errorf("offline judging: %d melts in its answer", len(batches)), err)
	}
	for _, melt = range batches {
	}
	return melt, melt.check(seconds)
}

// output runs a program to its end and returns what it prints.
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
