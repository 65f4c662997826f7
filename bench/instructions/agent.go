package instructions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
)

const site = "instructions"

// received counts the records that arrive from an agent.
type received struct {
	root string

	mu              sync.Mutex
	samples, states int // states by the model
}

func (r *received) take(topic string, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch topic {
	case r.root + message.TopicCurrent:
		var m struct{ Samples []message.Stamp }
		if json.Unmarshal(payload, &m) == nil {
			r.samples += len(m.Samples)
		}
	case r.root + message.TopicState:
		var s message.State
		if json.Unmarshal(payload, &s) == nil && s.Source == "model" {
			r.states++
		}
	}
}

func (r *received) so() (samples, states int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.samples, r.states
}

const (
	// starts is how long it may take until the model decides.
	starts = 2 * time.Minute
	// settles is how long the agent runs with its model before it is counted.
	settles = 15 * time.Second
)

// watch counts the agent of a furnace without a camera, whose model decides. Its settings are
// the defaults, so it records.
func (o Options) watch(ctx context.Context, at place, hertz int, into figures) (err error) {
	r := &received{root: rig.Root(site)}
	plant := &rig.Plant{Programs: at.plant, Period: time.Second / time.Duration(hertz), Take: r.take}
	defer func() { err = errors.Join(err, plant.Stop()) }()
	if err := plant.Start(ctx, site); err != nil {
		return err
	}
	decides := func() bool { _, states := r.so(); return states > 0 }
	if err := wait(ctx, starts, "a state by the model", decides); err != nil {
		return fmt.Errorf("%w\n%s", err, plant.Log.String())
	}
	if err := rig.Pause(ctx, settles); err != nil {
		return err
	}
	for range attempts {
		used, full, err := o.count(ctx, at, plant.Agent.Process.Pid, r, hertz)
		if err != nil {
			return err
		}
		if full {
			into.add(at.name, atRate(hertz), used)
			return nil
		}
	}
	return fmt.Errorf("samples or states were missing in each of %d watches: the machine is too busy, or the emulated agent too slow\n%s", attempts, plant.Log.String())
}

// attempts bounds the watches if samples are missing, because a busy machine reads a meter late.
const attempts = 5

// count watches once, and reports whether all samples and states arrived.
func (o Options) count(ctx context.Context, at place, pid int, r *received, hertz int) (used spent, full bool, err error) {
	before, err := at.read(agent, pid)
	if err != nil {
		return used, false, err
	}
	samples, states := r.so()
	began := time.Now()
	if err := rig.Pause(ctx, o.Watch); err != nil {
		return used, false, err
	}
	lasted := time.Since(began).Seconds()
	after, err := at.read(agent, pid)
	moreSamples, moreStates := r.so()
	const most = 0.95
	full = float64(moreSamples-samples) >= most*lasted*float64(hertz) && float64(moreStates-states) >= most*lasted-1
	return after.minus(before).over(lasted), full, err
}

// atRate is the name of the agent's work.
func atRate(hertz int) string { return fmt.Sprintf("%s at %d Hz", agent, hertz) }
