package tensorflow

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"meltwatch/inference"
)

// perBlock is how many calls one figure is taken over.
const perBlock = 1000

// fastest is the product where one is committed, else the fixture.
func fastest() string {
	if _, err := os.Stat(product); err == nil {
		return product
	}
	return fixture
}

func emptyFrame(m *Model) inference.Frame {
	inputs := m.Manifest().Signatures[inference.EncodeFrame].Inputs
	return inference.Frame{
		Pixels:     make([]byte, inputs["frame"].Elements()),
		Background: make([]float32, inputs["background"].Elements()),
	}
}

// fullWindow has every sample and frame present.
func fullWindow(m *Model) inference.Window {
	inputs := m.Manifest().Signatures[inference.Step].Inputs
	return inference.Window{
		Tokens:     make([]float32, inputs["tokens"].Elements()),
		FrameMask:  filled(inputs["frame_mask"].Elements(), 1),
		Current:    filled(inputs["current"].Elements(), 15000),
		SampleMask: filled(inputs["sample_mask"].Elements(), 1),
		SetPoint:   15000,
	}
}

func encodeOnce(m *Model) func() error {
	frame := emptyFrame(m)
	return func() error { _, err := m.EncodeFrame(frame); return err }
}

func stepOnce(m *Model) func() error {
	w := fullWindow(m)
	return func() error { _, err := m.Step(w); return err }
}

// BenchmarkBlocks times each function in blocks of 1,000 calls.
func BenchmarkBlocks(b *testing.B) {
	m := openFixture(b, fastest())
	for name, call := range map[string]func() error{"encode_frame": encodeOnce(m), "step": stepOnce(m)} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				for range perBlock {
					took = append(took, timed(b, call))
				}
			}
			report(b, "", took)
		})
	}
}

// BenchmarkTurns times the two functions as the agent calls them, one of each a
// second, 1,000 pairs a block: neither finds its data in the cache.
func BenchmarkTurns(b *testing.B) {
	m := openFixture(b, fastest())
	encode, step := encodeOnce(m), stepOnce(m)
	var encodes, steps []time.Duration
	for b.Loop() {
		for range perBlock {
			encodes = append(encodes, timed(b, encode))
			steps = append(steps, timed(b, step))
		}
	}
	report(b, "encode_", encodes)
	report(b, "step_", steps)
}

func timed(b *testing.B, call func() error) time.Duration {
	start := time.Now()
	if err := call(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func report(b *testing.B, prefix string, took []time.Duration) {
	slices.Sort(took)
	for _, percent := range []int{50, 95, 99} {
		at := took[(len(took)-1)*percent/100]
		b.ReportMetric(float64(at.Microseconds()), prefix+"p"+strconv.Itoa(percent)+"_µs")
	}
}

// TestMemoryStaysBounded runs as many calls as an agent makes in 17 minutes and
// wants no growth beyond what waits for the collector. Each call allocates
// tensors; leaking them would cost some 60 MB with the product.
func TestMemoryStaysBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := openFixture(t, fastest())
	encode, step := encodeOnce(m), stepOnce(m)
	turn := func(n int) {
		for range n {
			for _, call := range []func() error{encode, step} {
				if err := call(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	turn(300) // the allocator's own pools fill first
	before := residentKB(t)
	turn(1000)
	if grown := residentKB(t) - before; grown > 24<<10 {
		t.Errorf("grew by %d KB over 1,000 turns", grown)
	}
}

// residentKB is the process's anonymous memory.
func residentKB(t *testing.T) int {
	t.Helper()
	self, err := procfs.Self()
	if err != nil {
		t.Skipf("no memory figures here: %v", err)
	}
	status, err := self.NewStatus()
	if err != nil {
		t.Fatal(err)
	}
	return int(status.RssAnon >> 10)
}
