// Package drivertest is the conformance suite that every drivers.Source passes.
package drivertest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meltwatch/drivers"
)

// Rig is a source with its device.
type Rig[T any] struct {
	Source drivers.Source[T]
	// Time is when a value was taken.
	Time func(T) time.Time
	// Break makes the device fail and Heal mends it. Both are nil for a source
	// whose device cannot fail.
	Break, Heal func()
}

const (
	// timeout bounds every wait for something that must happen. It is long so that a
	// busy machine does not fail a test; what must be fast is measured separately.
	timeout = 20 * time.Second
	// fewValues are enough to show an order.
	fewValues = 5
)

// Run runs the suite. start returns the source of one case, and closes by t.Cleanup
// what it opens.
func Run[T any](t *testing.T, start func(t *testing.T) Rig[T]) {
	t.Run("values come in time order", func(t *testing.T) { inOrder(t, start(t)) })
	t.Run("nothing comes after Run has returned", func(t *testing.T) { silentAfter(t, start(t)) })
	t.Run("a context that has ended starts nothing", func(t *testing.T) { endedContext(t, start(t)) })
	t.Run("Run leaves no goroutine behind", func(t *testing.T) { leavesNothing(t, start(t)) })
	t.Run("Run can be called again", func(t *testing.T) { runsAgain(t, start(t)) })
	t.Run("the source heals when its device does", func(t *testing.T) {
		rig := start(t)
		if rig.Break == nil {
			t.Skip("this device cannot fail")
		}
		heals(t, rig)
	})
}

// session is one Run under way.
type session[T any] struct {
	cancel context.CancelFunc
	values chan T
	done   chan error

	mu       sync.Mutex
	returned bool
	after    int // values emitted after Run had returned
}

func run[T any](t *testing.T, rig Rig[T]) *session[T] {
	ctx, cancel := context.WithCancel(t.Context())
	s := &session[T]{cancel: cancel, values: make(chan T, 1024), done: make(chan error, 1)}
	go func() {
		err := rig.Source.Run(ctx, s.emit)
		s.mu.Lock()
		s.returned = true
		s.mu.Unlock()
		s.done <- err
	}()
	return s
}

func (s *session[T]) emit(v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.returned {
		s.after++
		return
	}
	select {
	case s.values <- v:
	default: // a test that does not receive loses the value, so that the source never blocks
	}
}

func (s *session[T]) next(t *testing.T) T {
	t.Helper()
	select {
	case v := <-s.values:
		return v
	case err := <-s.done:
		t.Fatalf("Run returned %v while its context was alive", err)
	case <-time.After(timeout):
		t.Fatalf("no value within %v", timeout)
	}
	panic("not reached")
}

// stop ends the context and waits for Run.
func (s *session[T]) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("Run returned %v after its context ended, want nil", err)
		}
	case <-time.After(timeout):
		t.Fatalf("Run did not return within %v of its context's end", timeout)
	}
}

func inOrder[T any](t *testing.T, rig Rig[T]) {
	s := run(t, rig)
	defer s.stop(t)
	last := rig.Time(s.next(t))
	if !strings.Contains(last.String(), " m=") {
		t.Error("the value's time carries no monotonic reading")
	}
	for range fewValues {
		at := rig.Time(s.next(t))
		if !at.After(last) {
			t.Fatalf("a value of %v came after one of %v", at, last)
		}
		last = at
	}
}

func silentAfter[T any](t *testing.T, rig Rig[T]) {
	s := run(t, rig)
	first := rig.Time(s.next(t))
	period := rig.Time(s.next(t)).Sub(first)
	s.stop(t)
	time.Sleep(min(3*period, time.Second))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.after > 0 {
		t.Errorf("%d values came after Run had returned", s.after)
	}
}

func endedContext[T any](t *testing.T, rig Rig[T]) {
	s := run(t, rig)
	s.stop(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	values := 0
	if err := rig.Source.Run(ctx, func(T) { values++ }); err != nil {
		t.Errorf("Run returned %v, want nil", err)
	}
	if values > 0 {
		t.Errorf("%d values came under a context that had ended", values)
	}
}

func leavesNothing[T any](t *testing.T, rig Rig[T]) {
	before := goleak.IgnoreCurrent()
	s := run(t, rig)
	s.next(t)
	s.stop(t)
	if rig.Break != nil {
		rig.Break() // closes the device's end of the connection, which the source does not own
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func runsAgain[T any](t *testing.T, rig Rig[T]) {
	for range 2 {
		s := run(t, rig)
		s.next(t)
		s.stop(t)
	}
}

func heals[T any](t *testing.T, rig Rig[T]) {
	s := run(t, rig)
	defer s.stop(t)
	s.next(t)
	rig.Break()
	broken := time.Now()
	time.Sleep(500 * time.Millisecond)
	rig.Heal()
	healed := time.Now()
	for !rig.Time(s.next(t)).After(healed) {
		continue // values from before the fault, or from the moment of it
	}
	t.Logf("right again %v after the device was, %v after it broke", time.Since(healed).Round(time.Millisecond),
		time.Since(broken).Round(time.Millisecond))
}
