package agent

import (
	"context"
	"encoding/csv"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/infer"
	"meltwatch/agent/settings"
	"meltwatch/agent/state"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/inference"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

// realRecord reads nineteen minutes of a real furnace's current in normal operation at
// 2 Hz, or skips the test: we may not distribute the record.
func realRecord(t *testing.T) [][drivers.Phases]float64 {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", "fmf_currents_2018-12-16.csv")
	file, err := os.Open(path)
	if err != nil {
		t.Skipf("the real record is not here: %v", err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var record [][drivers.Phases]float64
	for _, row := range rows[1:] {
		var sample [drivers.Phases]float64
		for phase := range sample {
			if sample[phase], err = strconv.ParseFloat(row[phase], 64); err != nil {
				t.Fatal(err)
			}
		}
		record = append(record, sample)
	}
	return record
}

// startModel starts the real inference child with the committed model.
func startModel(t *testing.T) (*infer.Client, *inference.Manifest) {
	t.Helper()
	const folder = "../inference/models/product"
	manifest, _, err := inference.ReadManifest(folder)
	if err != nil {
		t.Fatal(err)
	}
	registry := health.NewRegistry()
	client := infer.New(filepath.Join(needPrograms(t), "meltwatch-infer"), folder, slog.New(slog.NewTextHandler(testLog{t}, nil)), registry.Add("model", time.Minute))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, ok := client.Model(); ok {
			return client, &manifest
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatal(err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the model was not loaded within 30 s")
		}
	}
}

// The real furnace was normal for all of these minutes, so alignment, model and state
// must raise no alarm, with a camera or without.
func TestRealRecordRaisesNoAlarm(t *testing.T) {
	record := realRecord(t)
	for name, withVideo := range map[string]bool{"video absent": false, "simulated normal video": true} {
		t.Run(name, func(t *testing.T) {
			model, manifest := startModel(t)
			judge := decide.NewDecider(decide.Settings{
				Manifest: manifest, Rule: manifest.Rule, Timeout: 5 * time.Second, Period: 500 * time.Millisecond,
				Params: settings.Params(config.State{NormalCurrent: 15_000}, manifest.Decision),
			}, model)
			worst, decided := watch(t, judge, record, withVideo)
			t.Logf("%d seconds decided, highest mean p %.3f, threshold %.3f", decided, worst, manifest.Decision.Enter)
			if least := len(record)/2 - 60; decided < least {
				t.Errorf("only %d seconds were decided by the model, want %d", decided, least)
			}
		})
	}
}

// watch plays a record to a decider, as fast as the model answers.
func watch(t *testing.T, decider *decide.Decider, record [][drivers.Phases]float64, withVideo bool) (worst float64, decided int) {
	t.Helper()
	start := time.Now()
	f := furnace.New(working(), furnace.NewBatch(5, 5), 5, 5)
	picture := scene.New(f.Batch())
	for i := 0; i+1 < len(record); i += 2 {
		now := start.Add(time.Duration(i) * 500 * time.Millisecond)
		for k, current := range record[i : i+2] {
			decider.Sample(drivers.Sample{Time: now.Add(time.Duration(k) * 500 * time.Millisecond), Current: current, SetPoint: 15_000})
		}
		frame, status := drivers.Frame{}, drivers.Absent
		if withVideo {
			pixels, mask := make([]byte, 3*scene.Side*scene.Side), make([]byte, scene.Side*scene.Side)
			picture.Crop(f.AdvanceTo(float64(i)/2), pixels, mask)
			frame, status = drivers.Frame{Time: now, Number: uint64(i + 1), Width: scene.Side, Height: scene.Side, Pixels: pixels}, drivers.OK
		}
		s := decider.Decide(t.Context(), now.Add(700*time.Millisecond), frame, status)
		if s.Status.State == state.Abnormal {
			t.Fatalf("alarm at %d s of the record, mean p %.3f by %s", i/2, s.Status.P, s.Verdict.Source)
		}
		if s.Verdict.Source == state.Model {
			worst, decided = max(worst, s.Status.P), decided+1
		}
	}
	return worst, decided
}

// recordDecider returns a decider for the real record; with a nil model the rule
// decides.
func recordDecider(manifest *inference.Manifest, model decide.Model, period time.Duration) *decide.Decider {
	if model == nil {
		model = noModel{}
	}
	return decide.NewDecider(decide.Settings{
		Manifest: manifest, Rule: manifest.Rule, Timeout: 5 * time.Second, Period: period,
		Params: settings.Params(config.State{NormalCurrent: 15_000}, manifest.Decision),
	}, model)
}

// noModel is a model without a process.
type noModel struct{}

func (noModel) Model() (inference.LoadReply, bool) { return inference.LoadReply{}, false }

func (noModel) EncodeFrame(context.Context, inference.Frame) (inference.Encoded, error) {
	return inference.Encoded{}, infer.ErrNoModel
}

func (noModel) Step(context.Context, inference.Window) (inference.Outputs, error) {
	return nil, infer.ErrNoModel
}

// play plays a record to a decider, two samples a second. edit changes a sample and
// reports whether the meter delivers it; see is called with each decision.
func play(t *testing.T, decider *decide.Decider, record [][drivers.Phases]float64, edit func(i int, s *drivers.Sample) bool, see func(second int, s decide.Decision)) {
	t.Helper()
	start := time.Now()
	for i := 0; i+1 < len(record); i += 2 {
		now := start.Add(time.Duration(i) * 500 * time.Millisecond)
		for k, current := range record[i : i+2] {
			s := drivers.Sample{Time: now.Add(time.Duration(k) * 500 * time.Millisecond), Current: current, SetPoint: 15_000}
			if edit(i+k, &s) {
				decider.Sample(s)
			}
		}
		see(i/2, decider.Decide(t.Context(), now.Add(700*time.Millisecond), drivers.Frame{}, drivers.Absent))
	}
}

func unavailable(s *drivers.Sample) bool {
	s.Current, s.Missing = [drivers.Phases]float64{}, "current_a: 0x8000 (int16) means not available"
	return true
}

// Each sample of the real record in turn is missing: no state changes, and an alarm is
// held. One run leaves out samples 15 s apart, which is four in a minute.
func TestRealRecordWithEachSampleMissingInTurn(t *testing.T) {
	record := realRecord(t)
	manifest, _, err := inference.ReadManifest("../inference/models/product")
	if err != nil {
		t.Fatal(err)
	}
	const apart = 30
	for offset := range apart {
		edit := func(i int, s *drivers.Sample) bool { return i%apart != offset || unavailable(s) }
		changes := 0
		play(t, recordDecider(&manifest, nil, 500*time.Millisecond), record, edit, func(second int, s decide.Decision) {
			if second > 125 && (s.Status.State != state.Normal || s.Current != drivers.OK) {
				t.Fatalf("offset %d, %d s: state %s, current %s (%s)", offset, second, s.Status.State, s.Current, s.CurrentCause)
			}
			if s.Status.Changed {
				changes++
			}
		})
		if changes > 2 { // warming, normal
			t.Fatalf("offset %d: %d changes of state", offset, changes)
		}
		held := recordDecider(&manifest, nil, 500*time.Millisecond)
		held.Machine().Resume(state.Saved{State: state.Abnormal, Since: time.Now(), Seen: time.Now(), By: state.Model}, time.Now())
		play(t, held, record, edit, func(second int, s decide.Decision) {
			if s.Status.State != state.Abnormal {
				t.Fatalf("offset %d, %d s: an alarm of the model's ended as %s", offset, second, s.Status.State)
			}
		})
	}
}

func TestRealRecordWithThreeSamplesMissingNamesTheSense(t *testing.T) {
	record := realRecord(t)
	manifest, _, err := inference.ReadManifest("../inference/models/product")
	if err != nil {
		t.Fatal(err)
	}
	for first := 300; first < len(record)-100; first += 97 {
		named := false
		play(t, recordDecider(&manifest, nil, 500*time.Millisecond), record[:first+20], func(i int, s *drivers.Sample) bool {
			return i < first || i >= first+3 || unavailable(s)
		}, func(_ int, s decide.Decision) {
			if s.Current == drivers.Invalid {
				named = true
			}
			if s.Status.State == state.Off {
				t.Fatal("off with invalid values")
			}
		})
		// A second looks at the status every two samples, the loop ten times a second.
		if last := (first + 2) % 2; last == 1 && !named {
			t.Fatalf("three samples from %d on were not named", first)
		}
	}
}

// The real record, clipped at 20 kA and with arcs that go out, has no stuck phase. A
// phase that is made stuck is named within 20 s.
func TestRealRecordAndAStuckPhase(t *testing.T) {
	record := realRecord(t)
	manifest, _, err := inference.ReadManifest("../inference/models/product")
	if err != nil {
		t.Fatal(err)
	}
	play(t, recordDecider(&manifest, nil, 500*time.Millisecond), record, func(int, *drivers.Sample) bool { return true }, func(second int, s decide.Decision) {
		if s.Current != drivers.OK {
			t.Fatalf("%d s: %s (%s)", second, s.Current, s.CurrentCause)
		}
	})
	for phase := range drivers.Phases {
		for first := 300; first < len(record)-50; first += 151 {
			named := -1
			held := record[first][phase]
			play(t, recordDecider(&manifest, nil, 500*time.Millisecond), record[:first+50], func(i int, s *drivers.Sample) bool {
				if i >= first {
					s.Current[phase] = held
				}
				return true
			}, func(second int, s decide.Decision) {
				if s.Current == drivers.Frozen && named < 0 {
					named = second - first/2
				}
			})
			if named < 0 || named > 20 {
				t.Errorf("phase %d stuck at %g A from %d s on: named after %d s", phase, held, first/2, named)
			}
		}
	}
}

// The thinned record raises no alarm in any pattern. The rule decides windows with
// which the model was not tested; a meter that is configured at 1 Hz is the model's.
func TestRealRecordThinnedRaisesNoAlarm(t *testing.T) {
	record := realRecord(t)
	model, manifest := startModel(t)
	random := rand.New(rand.NewPCG(5, 5))
	for name, c := range map[string]struct {
		period time.Duration
		keep   func(i int) bool
		by     state.Source
	}{
		"every second":                {500 * time.Millisecond, func(i int) bool { return i%2 == 0 }, state.Rule},
		"1 Hz by the configuration":   {time.Second, func(i int) bool { return i%2 == 0 }, state.Model},
		"every third":                 {500 * time.Millisecond, func(i int) bool { return i%3 == 0 }, state.Rule},
		"0.5 Hz by the configuration": {2 * time.Second, func(i int) bool { return i%4 == 0 }, state.Rule},
		"30 % in bursts":              {500 * time.Millisecond, func(i int) bool { return i%20 < 14 }, ""},
		"30 % at random":              {500 * time.Millisecond, func(int) bool { return random.Float64() < 0.7 }, ""},
		"one in five":                 {500 * time.Millisecond, func(i int) bool { return i%5 != 0 }, state.Model},
	} {
		t.Run(name, func(t *testing.T) {
			decided := map[state.Source]int{}
			play(t, recordDecider(manifest, model, c.period), record, func(i int, _ *drivers.Sample) bool { return c.keep(i) }, func(second int, s decide.Decision) {
				if s.Status.State == state.Abnormal {
					t.Fatalf("%d s: an alarm, mean p %.3f by %s", second, s.Status.P, s.Verdict.Source)
				}
				decided[s.Verdict.Source]++
			})
			t.Logf("decided: %v", decided)
			if c.by != "" && decided[c.by] < 1000 {
				t.Errorf("decided: %v, want %s", decided, c.by)
			}
		})
	}
}
