package main

import (
	"context"
	"encoding/csv"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/infer"
	"meltwatch/agent/state"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/inference"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

// realRecord reads nineteen minutes of a real furnace's current in normal work,
// 2 Hz, or skips: the record is not ours to distribute.
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
	board := health.NewBoard()
	client := infer.New(filepath.Join(needPrograms(t), "meltwatch-infer"), folder, slog.New(slog.NewTextHandler(testLog{t}, nil)), board.Add("model", time.Minute))
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

// The real furnace worked well for all of these minutes: through alignment, the
// model and the state there must be no alarm, seen with a camera or without.
func TestRealRecordRaisesNoAlarm(t *testing.T) {
	record := realRecord(t)
	for name, withVideo := range map[string]bool{"video absent": false, "simulated normal video": true} {
		t.Run(name, func(t *testing.T) {
			model, manifest := startModel(t)
			judge := decide.NewJudge(decide.Settings{
				Manifest: manifest, Rule: manifest.Rule, Timeout: 5 * time.Second, Period: 500 * time.Millisecond,
				Params: params(config.State{NormalCurrent: 15_000}, manifest.Decision),
			}, model)
			worst, decided := watch(t, judge, record, withVideo)
			t.Logf("%d seconds decided, highest mean p %.3f, threshold %.3f", decided, worst, manifest.Decision.Enter)
			if least := len(record)/2 - 60; decided < least {
				t.Errorf("only %d seconds were decided by the model, want %d", decided, least)
			}
		})
	}
}

// watch plays a record to a judge, as fast as the model answers.
func watch(t *testing.T, judge *decide.Judge, record [][drivers.Phases]float64, withVideo bool) (worst float64, decided int) {
	t.Helper()
	start := time.Now()
	f := furnace.New(working(), furnace.NewBatch(5, 5), 5, 5)
	picture := scene.New(f.Batch())
	for i := 0; i+1 < len(record); i += 2 {
		now := start.Add(time.Duration(i) * 500 * time.Millisecond)
		for k, current := range record[i : i+2] {
			judge.Sample(drivers.Sample{Time: now.Add(time.Duration(k) * 500 * time.Millisecond), Current: current, SetPoint: 15_000})
		}
		frame, status := drivers.Frame{}, drivers.Absent
		if withVideo {
			pixels, mask := make([]byte, 3*scene.Side*scene.Side), make([]byte, scene.Side*scene.Side)
			picture.Crop(f.AdvanceTo(float64(i)/2), pixels, mask)
			frame, status = drivers.Frame{Time: now, Number: uint64(i + 1), Width: scene.Side, Height: scene.Side, Pixels: pixels}, drivers.OK
		}
		s := judge.Second(t.Context(), now.Add(700*time.Millisecond), frame, status)
		if s.Status.State == state.Abnormal {
			t.Fatalf("alarm at %d s of the record, mean p %.3f by %s", i/2, s.Status.P, s.Verdict.Source)
		}
		if s.Verdict.Source == state.Model {
			worst, decided = max(worst, s.Status.P), decided+1
		}
	}
	return worst, decided
}
