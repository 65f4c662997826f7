package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/infer"
	"meltwatch/inference"
)

// modelInstance is a model, its child and its decider. One instance is live; a second
// one may run beside it.
type modelInstance struct {
	folder   string
	client   ModelChild
	manifest *inference.Manifest
	decider  *decide.Decider
	health   *health.Part
	child    *instance
}

// Alive returns the last fault of the child since it loaded the model.
func (m *modelInstance) Alive() error { return m.health.LastFault() }

// Memory is the child's resident memory in bytes.
func (m *modelInstance) Memory() (int64, error) {
	pid := m.client.PID()
	if pid == 0 {
		return 0, infer.ErrNoModel
	}
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, infer.ErrNoModel // it ended in the meantime
	}
	stat, err := process.Stat()
	if err != nil {
		return 0, fmt.Errorf("memory of the model's process: %w", err)
	}
	return int64(stat.ResidentMemory()), nil
}

// goldenTimeout bounds the call of a golden vector; the first calls of a graph are
// slow.
const goldenTimeout = 5 * time.Second

// Golden runs the golden vectors twice and returns the times of the second round,
// because the first calls are slow.
func (m *modelInstance) Golden(ctx context.Context) (took []time.Duration, err error) {
	return runGolden(ctx, m.manifest, m.folder, m.client, goldenTimeout)
}

// runGolden runs the golden vectors of the model in folder twice, each call within timeout,
// and returns the times of the second round.
func runGolden(ctx context.Context, manifest *inference.Manifest, folder string, model decide.Model, timeout time.Duration) (took []time.Duration, err error) {
	vectors, err := manifest.ReadGolden(folder)
	if err != nil {
		return nil, err
	}
	// Vectors with values that are not finite are left out: the agent masks such values
	// before they reach a child.
	vectors = slices.DeleteFunc(vectors, func(v inference.GoldenVector) bool { return !v.Finite() })
	for _, signature := range []string{inference.EncodeFrame, inference.Step} {
		if !slices.ContainsFunc(vectors, func(v inference.GoldenVector) bool { return v.Signature == signature }) {
			return nil, fmt.Errorf("the package holds no golden vector of %s: export the model again", signature)
		}
	}
	for round := range 2 {
		for _, v := range vectors {
			began := time.Now()
			if err := oneGolden(ctx, v, model, timeout, manifest.Golden.Tolerance); err != nil {
				return nil, fmt.Errorf("golden vector %q: %w", v.Name, err)
			}
			if round > 0 {
				took = append(took, time.Since(began))
			}
		}
	}
	return took, nil
}

func oneGolden(ctx context.Context, v inference.GoldenVector, model decide.Model, timeout time.Duration, tolerance float64) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	have, err := v.Run(ctx, model)
	if err != nil {
		return err
	}
	return v.Compare(have, tolerance)
}
