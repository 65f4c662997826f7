// Package latency measures how soon the agent tells: from its start to the first message,
// from a sample to its subscriber, and from the newest sample of a window to the state that
// was decided from it.
package latency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"meltwatch/agent/message"
	"meltwatch/bench/rig"
)

// Options set the size of the measurement.
type Options struct {
	Programs rig.Programs
	Camera   bool          // with the camera, its child and a picture in each window
	Watch    time.Duration // how long samples and states are timed
	Starts   int           // how often the agent is started
	Settle   time.Duration // before samples and states are timed; at least 20 s
}

const site = "latency"

// Run prints the table. All paths lead through the same proxy and broker, which the first
// row measures alone.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	measured, err := o.Measure(ctx)
	if err != nil {
		return err
	}
	_, err = out.Write(measured.table())
	return err
}

// Measured is everything that was timed.
type Measured struct {
	Echo               *rig.Timings // a small message through proxy and broker to the subscriber
	First, FirstSample *rig.Timings // from the agent's start
	Sample             *rig.Timings // from a sample to its subscriber
	State              *rig.Timings // from the newest sample of a window to its state
	End                *rig.Timings // from a window's end to its state
	// Decided counts the timed states by what decided them.
	Decided map[string]int
}

// Measure times one plant.
func (o Options) Measure(ctx context.Context) (Measured, error) {
	w := &watch{root: rig.Root(site), decided: map[string]int{}}
	p := &rig.Plant{Programs: o.Programs, Camera: o.Camera, Take: w.take}
	err := p.Start(ctx, site)
	if err == nil {
		err = o.measure(ctx, p, w)
	}
	return w.measured(), errors.Join(err, p.Stop())
}

func (o Options) measure(ctx context.Context, p *rig.Plant, w *watch) error {
	for range o.Starts {
		// The agent before has started, and can be ended.
		if err := rig.Pause(ctx, 3*time.Second); err != nil {
			return err
		}
		if err := p.RestartAgent(w.started); err != nil {
			return err
		}
	}
	// The model is loaded, and the camera opened.
	if err := rig.Pause(ctx, max(o.Settle, 20*time.Second)); err != nil {
		return err
	}
	w.begin()
	echo, err := p.EchoTimes(ctx, o.Watch)
	w.end(echo)
	return err
}

// watch times the messages of one agent as they arrive.
type watch struct {
	root string

	mu      sync.Mutex
	start   time.Time // of the agent; zero once its first sample has arrived
	timing  bool
	samples []time.Time // the stamps of the last samples, oldest first

	first, firstSample rig.Timings // from the start to the first message, and to the first sample
	seen               bool        // the first message has arrived
	sample, state      rig.Timings
	ends               rig.Timings // from a window's end to its state
	echo               *rig.Timings
	decided            map[string]int // timed states by their source
}

func (w *watch) measured() Measured {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Measured{Echo: w.echo, First: &w.first, FirstSample: &w.firstSample, Sample: &w.sample, State: &w.state, End: &w.ends, Decided: w.decided}
}

func (w *watch) started() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start, w.seen = time.Now(), false
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timing = true
}

func (w *watch) end(echo *rig.Timings) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timing, w.echo = false, echo
}

// keep is the number of samples whose stamps are kept.
const keep = 64

func (w *watch) take(topic string, payload []byte) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch topic {
	case w.root + message.TopicAvailability:
		// The goodbye of the agent before is no first message.
		if !w.start.IsZero() && !w.seen && string(payload) == message.Online {
			w.seen = true
			w.first.Add(now.Sub(w.start))
		}
	case w.root + message.TopicCurrent:
		w.takeSamples(now, payload)
	case w.root + message.TopicState:
		var s message.State
		if w.timing && json.Unmarshal(payload, &s) == nil {
			w.takeState(now, s.Time)
			w.decided[s.Source]++
		}
	}
}

func (w *watch) takeSamples(now time.Time, payload []byte) {
	var m struct{ Samples []message.Stamp }
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	for _, s := range m.Samples {
		w.samples = append(w.samples, s.Time)
		if w.timing {
			w.sample.Add(now.Sub(s.Time))
		}
		if !w.start.IsZero() && s.Time.After(w.start) {
			w.firstSample.Add(now.Sub(w.start))
			w.start = time.Time{}
		}
	}
	w.samples = w.samples[max(0, len(w.samples)-keep):]
}

// slack is how far a sample may be from the end of its window, which lies on a grid.
const slack = 20 * time.Millisecond

// takeState times a state against the newest sample of its window.
func (w *watch) takeState(now, end time.Time) {
	var newest time.Time
	for _, s := range w.samples {
		if !s.After(end.Add(slack)) {
			newest = s
		}
	}
	if newest.IsZero() {
		return
	}
	w.state.Add(now.Sub(newest))
	w.ends.Add(now.Sub(end))
}

func (m Measured) table() []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "| | p50 | p95 | p99 | times the echo (p50) | count |\n|---|---|---|---|---|---|\n")
	limit := m.Echo.Percentile(50)
	for _, row := range []struct {
		what    string
		timings *rig.Timings
	}{
		{"a message of ours through proxy and broker and back", m.Echo},
		{"start to the first message", m.First},
		{"start to the first sample", m.FirstSample},
		{"sample to its subscriber", m.Sample},
		{"newest sample of a window to its state", m.State},
		{"end of a window to its state", m.End},
	} {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.1f | %d |\n", row.what, row.timings.Percentile(50), row.timings.Percentile(95),
			row.timings.Percentile(99), float64(row.timings.Percentile(50))/float64(max(limit, 1)), row.timings.Count())
	}
	return b.Bytes()
}
