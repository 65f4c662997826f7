package replay

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/agent/state"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/inference"
)

// glowing is a model that says abnormal when the shell glows and the current is quiet.
type glowing struct{}

func (m *glowing) EncodeFrame(_ context.Context, f inference.Frame) (inference.Encoded, error) {
	return inference.Encoded{Tokens: []float32{float32(f.Pixels[0]) / 255}, Background: []float32{0}}, nil
}

func (m *glowing) Step(_ context.Context, w inference.Window) (inference.Outputs, error) {
	var glow, frames, sum, squares, n float64
	for k, there := range w.FrameMask {
		glow, frames = glow+float64(w.Tokens[k]*there), frames+float64(there)
	}
	for i, there := range w.SampleMask {
		if there > 0 {
			v := float64(w.Current[3*i])
			sum, squares, n = sum+v, squares+v*v, n+1
		}
	}
	cv := 1.0
	if n > 60 {
		cv = math.Sqrt(max(squares/n-sum*sum/n/n, 0)) / (sum / n)
	}
	p := 1 / (1 + math.Exp(-8*(glow/max(frames, 1)-0.4)-40*(0.05-cv)))
	return inference.Outputs{inference.PAbnormal: {float32(p)}}, nil
}

func (m *glowing) Model() (inference.LoadReply, bool) { return inference.LoadReply{SHA256: "x"}, true }

func decider() *decide.Decider {
	return decide.NewDecider(decide.Settings{
		Manifest: &inference.Manifest{
			Current:  inference.CurrentSpec{RateHz: 2, Samples: 240, Phases: drivers.Phases},
			Video:    inference.VideoSpec{Width: side, Height: side, Resize: "area", RateHz: 1, Frames: 16, Tokens: 1, Dim: 1},
			Decision: inference.Decision{MeanSeconds: 10, Enter: 0.6, Exit: 0.4, HoldSeconds: 10, FreezeBackground: 0.5},
			Rule:     inference.Rule{CV120: 0.04, CV45: 0.03},
		},
		Params: state.Params{MeanSeconds: 10, Enter: 0.6, Exit: 0.4, HoldSeconds: 10, Suspect: state.Suspect{MeanSeconds: 3, Enter: 0.5, Exit: 0.3, HoldSeconds: 5}},
		Rule:   inference.Rule{CV120: 0.04, CV45: 0.03}, Timeout: time.Second, Period: 500 * time.Millisecond,
	}, &glowing{})
}

type nothing struct{}

func (nothing) Beat()                   {}
func (nothing) OK()                     {}
func (nothing) Fault(error)             {}
func (nothing) Count(map[string]uint64) {}

const side = 64 // of a frame, in pixels

// video is the furnace's picture: four seconds in five are new.
type video struct {
	r      *rand.Rand
	mu     sync.Mutex
	frame  drivers.Frame
	status drivers.Status
	glow   byte
}

func (v *video) Newest() (drivers.Frame, drivers.Status) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.frame, v.status
}

func (v *video) show(f drivers.Frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.frame = f
}

// live runs a decision loop for a time, with an abnormal stretch in it, and records.
func live(t *testing.T, folder string, lasts time.Duration) (began, ended time.Time) {
	t.Helper()
	r := recorder.New(recorder.Settings{
		Files: durable.Folder(folder), MaxBytes: 1 << 30, MaxAge: 24 * time.Hour,
		Wall: func(t time.Time) time.Time { return t.UTC().Round(0) }, Log: slog.New(slog.DiscardHandler), Observer: nothing{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- r.Run(ctx) }()
	v := &video{r: rand.New(rand.NewPCG(3, 4)), status: drivers.OK, glow: 20}
	var noise float64
	loop := decide.NewLoop(decider(), v, func(d decide.Decision) {
		s := message.State{Stamp: message.Stamp{Time: d.End.UTC().Round(0)}, State: string(d.Status.State), Level: string(d.Status.Level), PAbnormal: d.Verdict.P, PMean: d.Status.P}
		s.Senses = message.Senses{Current: string(d.Current), Video: string(d.Video)}
		r.Second(recorder.Second{Decided: time.Now(), State: s, Frame: d.Frame})
	})
	go func() { done <- loop.Run(ctx) }()
	began = time.Now()
	for n := 0; time.Since(began) < lasts; n++ {
		switch at := time.Since(began); {
		case at > 500*time.Second && at < 800*time.Second:
			v.glow, noise = 220, 150
		default:
			v.glow, noise = 20, 1500
		}
		sample := drivers.Sample{Time: time.Now().Add(-2 * time.Millisecond), Uncertainty: 2 * time.Millisecond, SetPoint: 15000}
		for phase := range sample.Current {
			sample.Current[phase] = math.Round(15000 + noise*v.r.NormFloat64())
		}
		if n%97 == 5 {
			sample.Current, sample.Missing = [3]float64{}, "phase A: 0x8000 means not available"
		}
		r.Sample(sample)
		loop.Offer(sample)
		if n%2 == 0 && n%10 != 4 {
			pixels := make([]byte, 3*side*side)
			for i := range pixels {
				pixels[i] = v.glow + byte(v.r.IntN(20))
			}
			v.show(drivers.Frame{Time: time.Now().Add(-90 * time.Millisecond), Number: v.frame.Number + 1, Stream: 1, Width: side, Height: side, Pixels: pixels})
		}
		time.Sleep(500*time.Millisecond + time.Duration(v.r.IntN(10)-5)*time.Millisecond)
	}
	cancel()
	<-done
	<-done
	return began, time.Now()
}

// Twenty minutes of life, decided again from the recording, have the same states.
func TestReplayDecidesAsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		began, ended := live(t, folder, 20*time.Minute)
		abnormal, suspected, differs := 0, 0, 0
		result, err := Run(t.Context(), recorder.OpenLibrary(folder), decider(), began.Add(-time.Minute), ended, func(s Second) {
			if s.Recorded.State.State == "abnormal" {
				abnormal++
			}
			if s.Recorded.Level == "suspected" && s.Again.Status.Level == state.LevelSuspected {
				suspected++
			}
			if s.Settled && math.Abs(s.Again.Verdict.P-s.Recorded.PAbnormal) > 1e-6 {
				differs++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if result.Seconds < 1150 || result.Settled < 900 || float64(result.Equal) < 0.995*float64(result.Settled) {
			t.Errorf("%+v, want the recorded state in 99.5 %%", result)
		}
		if result.Levels != result.Settled || float64(result.EqualLevels) < 0.995*float64(result.Levels) || suspected == 0 {
			t.Errorf("%+v, %d suspected seconds: want the recorded level in 99.5 %%", result, suspected)
		}
		if abnormal < 200 || differs > result.Settled/200 {
			t.Errorf("%d abnormal seconds; p differs in %d of %d", abnormal, differs, result.Settled)
		}
	})
}

func TestEmptyRecordingIsRefused(t *testing.T) {
	now := time.Now()
	if _, err := Run(t.Context(), recorder.OpenLibrary(t.TempDir()), decider(), now.Add(-time.Hour), now, func(Second) {}); !errors.Is(err, ErrEmpty) {
		t.Errorf("%v", err)
	}
}

// What is exported is a data set that the trainer's own check reads.
func TestExportIsReadByTheTrainer(t *testing.T) {
	root := t.TempDir()
	folder, out := filepath.Join(root, "recordings"), filepath.Join(root, "new", "data")
	synctest.Test(t, func(t *testing.T) {
		began, ended := live(t, folder, 20*time.Minute)
		// The abnormal stretch is labelled, the rest is normal.
		labels := recorder.OpenLabels(durable.Folder(folder))
		if _, err := labels.Put(recorder.Label{Class: recorder.ClassAbnormal, From: began.Add(490 * time.Second), Onset: began.Add(500 * time.Second), To: began.Add(800 * time.Second), By: "Li"}); err != nil {
			t.Fatal(err)
		}
		all, err := labels.All()
		if err != nil {
			t.Fatal(err)
		}
		done, err := recorder.Export(recorder.OpenLibrary(folder), all, began.Add(-time.Minute), ended, out, true)
		if err != nil || len(done) != 1 || done[0].Frames < 900 || done[0].Samples < 2300 || done[0].Labelled < 1100 {
			t.Fatalf("%+v, %v", done, err)
		}
		if _, err := recorder.Export(recorder.OpenLibrary(folder), all, began, ended, out, true); err == nil {
			t.Error("an existing folder was written to")
		}
	})
	text, err := os.ReadFile(filepath.Join(out, "val.json")) // with the rest as normal, nothing is trained on it
	var names []string
	if err != nil || json.Unmarshal(text, &names) != nil || len(names) != 1 {
		t.Fatalf("val.json %s, %v", text, err)
	}
	if train, err := os.ReadFile(filepath.Join(out, "train.json")); err != nil || strings.TrimSpace(string(train)) != "[]" {
		t.Errorf("train.json %s, %v", train, err)
	}
	table, err := os.ReadFile(filepath.Join(out, "labels", names[0]+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(string(table), "\n")
	if !strings.HasPrefix(rows[401], "400,0,") || !strings.HasPrefix(rows[601], "600,1,") {
		t.Errorf("labels %q, %q", rows[401], rows[601])
	}
	python, err := filepath.Abs("../../.deps/venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	// make demo leaves a Python without packages; this file comes with them.
	if _, err := os.Stat("../../.deps/venv/.requirements"); err != nil {
		t.Skip("SKIPPED, no Python to read the data set with: make deps-train")
	}
	read := exec.CommandContext(t.Context(), python, "-c", `
import sys
from inference.train.data import layout
b = layout.read_batch(sys.argv[1], sys.argv[2])
amps = b.currents[0].amps[b.currents[0].mask > 0]
assert len(b.frames) > 900 and b.frames.shape[1:] == (64, 64, 3), b.frames.shape
assert abs(amps.mean() - 15000) < 100 and len(amps) > 2000, amps.mean()
assert (b.label == 1).sum() in range(299, 302) and (b.label == 0).sum() > 850, [(b.label == k).sum() for k in (-1, 0, 1)]
at = lambda s: b.frames[max(b.frame_at[s:s + 3])]  # each fifth second has no picture
assert at(400).mean() < 60 < 200 < at(650).mean()
`, out, names[0])
	read.Dir = "../.."
	if answer, err := read.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
}
