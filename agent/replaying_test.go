package agent

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"meltwatch/agent/health"
	"meltwatch/agent/infer"
	"meltwatch/agent/recorder"
	"meltwatch/agent/recorder/recordertest"
	"meltwatch/agent/replay"
	"meltwatch/config"
	"meltwatch/durable"
	"meltwatch/inference"
	"meltwatch/simulator/furnace"
)

// mortal is a model whose process ends after some answers.
type mortal struct {
	manifest *inference.Manifest
	died     chan struct{}
	once     sync.Once
	mu       sync.Mutex
	left     int
}

func (m *mortal) take() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left--; m.left >= 0 {
		return nil
	}
	m.once.Do(func() { close(m.died) })
	return infer.ErrNoModel
}

func (m *mortal) Model() (inference.LoadReply, bool) {
	select {
	case <-m.died:
		return inference.LoadReply{}, false
	default:
		return inference.LoadReply{SHA256: "x", Manifest: *m.manifest}, true
	}
}

func (m *mortal) EncodeFrame(context.Context, inference.Frame) (inference.Encoded, error) {
	v := m.manifest.Video
	return inference.Encoded{Tokens: make([]float32, v.Tokens*v.Dim), Background: make([]float32, v.Width*v.Height)}, m.take()
}

func (m *mortal) Step(context.Context, inference.Window) (inference.Outputs, error) {
	outputs := inference.Outputs{inference.PAbnormal: {0.1}}
	if m.manifest.Offset != nil {
		outputs[inference.LocalLoss] = make([]float32, len(m.manifest.Offset.ShiftsS))
	}
	return outputs, m.take()
}

func (m *mortal) PID() int { return 0 }

func (m *mortal) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.died:
		return errors.New("signal: killed")
	}
}

// A replay ends with the reason when its model does: the rule must not decide in its place.
func TestReplayEndsWithItsModel(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		recordertest.Record(t, folder, furnace.Scenario{Segments: []furnace.Segment{{State: furnace.Normal, Seconds: 100}}})
	})
	product, err := filepath.Abs("../inference/models/product")
	if err != nil {
		t.Fatal(err)
	}
	manifest, _, err := inference.ReadManifest(product)
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Model.Path = product
	for answers, want := range map[int]string{1 << 20: "", 50: "the model's process ended: signal: killed"} {
		env := Env{Log: slog.New(slog.DiscardHandler), Files: func(folder string) durable.Files { return durable.Folder(folder) },
			Model: func(string, string, *slog.Logger, *health.Part) (ModelChild, *inference.Manifest, error) {
				return &mortal{manifest: &manifest, died: make(chan struct{}), left: answers}, &manifest, nil
			}}
		result, err := Replay(t.Context(), c, env, recorder.OpenLibrary(folder), time.Unix(0, 0), time.Now(), func(replay.Second) {})
		if want == "" && (err != nil || result.Seconds < 99) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("after %d answers: %+v, %v", answers, result, err)
		}
	}
}
