package agent

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"meltwatch/paralleltest"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/serve"
)

// runTests runs the tests, and returns the exit status.
func runTests(m *testing.M) int {
	status := paralleltest.Run(m, 2)
	if err := workingFurnace.close(); err != nil {
		fmt.Fprintln(os.Stderr, "the furnace at work:", err)
		return 1
	}
	return status
}

// workingFurnace is the furnace of all tests that change nothing at it. To draw and encode
// 25 pictures a second takes more of the processor than an agent does, so there are fewer: the
// camera's child still decodes the first ones of each second alone.
var workingFurnace sharedFurnace

type sharedFurnace struct {
	mu  sync.Mutex
	sim *serve.Server
}

func (f *sharedFurnace) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sim == nil {
		return nil
	}
	return f.sim.Close()
}

// atWork returns the furnace at work that the tests share. A test that sets a fault has one of
// its own.
func atWork(t *testing.T) *serve.Server {
	t.Helper()
	needPrograms(t)
	f := &workingFurnace
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sim == nil {
		var err error
		if f.sim, err = serve.Start(context.Background(), serve.Options{Scenario: working(), Seed: 7, FPS: 10}); err != nil {
			t.Fatal(err)
		}
	}
	return f.sim
}

// ownFurnace starts a furnace for one test.
func ownFurnace(t *testing.T, scenario furnace.Scenario) *serve.Server {
	t.Helper()
	needPrograms(t)
	sim, err := serve.Start(context.Background(), serve.Options{Scenario: scenario, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return sim
}
