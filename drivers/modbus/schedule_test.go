package modbus

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/retry"
)

// memory is a device reached without sockets, so that time can be virtual. Its
// replies take delay(n) for request n, counted from 1.
type memory struct {
	device
	delay func(n int) time.Duration
	dials atomic.Int64
	down  atomic.Bool
}

func newMemory(delay func(n int) time.Duration) *memory {
	return &memory{device: device{kind: schemeTCP, dead: map[byte]bool{}}, delay: delay}
}

func (m *memory) dial(context.Context, address) (stream, error) {
	m.dials.Add(1)
	if m.down.Load() {
		return nil, errors.New("nobody there")
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		for {
			request, err := m.readRequest(far)
			if err != nil {
				return
			}
			answer := m.answer(far, request)
			time.Sleep(m.delay(m.count()))
			if answer == nil {
				continue
			}
			if _, err := far.Write(answer); err != nil {
				return
			}
		}
	}()
	return near, nil
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests
}

// inBubble polls the meters for the given virtual time.
func inBubble(t *testing.T, m *memory, meters map[string]config.Meter, span time.Duration) (samples []drivers.Sample, reports []Report) {
	t.Helper()
	source, err := New(meters, quiet(), func(r Report) { reports = append(reports, r) })
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	source.dial = m.dial
	// A device that was asked just before the end must get to notice that nobody
	// listens, or it would outlive the bubble.
	t.Cleanup(func() { time.Sleep(time.Second) })
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	if err := source.Run(ctx, func(s drivers.Sample) { samples = append(samples, s) }); err != nil {
		t.Fatalf("Run: %v", err)
	}
	return samples, reports
}

func halfSecond(url string) config.Meter {
	m := meter(url, 1)
	m.Period, m.Timeout = 500*time.Millisecond, 400*time.Millisecond
	return m
}

func noDelay(int) time.Duration { return 0 }

const anywhere = "tcp://127.0.0.1:502"

// Ten hours of polls that each take a while end on the same grid as they began.
func TestScheduleDoesNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := newMemory(func(n int) time.Duration { return time.Duration(n%97) * time.Millisecond })
		// Between two ticks: on one, the poll and the end would come at one instant.
		samples, _ := inBubble(t, m, map[string]config.Meter{"main": halfSecond(anywhere)}, 10*time.Hour-250*time.Millisecond)
		if got, want := len(samples), 10*3600*2; got != want {
			t.Fatalf("%d samples, want %d", got, want)
		}
		for n, s := range samples {
			if sent := s.Time.Add(-s.Uncertainty); sent.Sub(start) != time.Duration(n)*500*time.Millisecond {
				t.Fatalf("poll %d went out at %v", n, sent.Sub(start))
			}
		}
	})
}

func TestSampleTimeIsTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := newMemory(func(int) time.Duration { return 30 * time.Millisecond })
		main := halfSecond(anywhere)
		main.Fields[config.FieldCurrentC] = float32At(400) // a second request
		samples, _ := inBubble(t, m, map[string]config.Meter{"main": main}, 100*time.Millisecond)
		if len(samples) != 1 {
			t.Fatalf("%d samples, want 1", len(samples))
		}
		if got := samples[0].Time.Sub(start); got != 30*time.Millisecond {
			t.Errorf("time %v, want the middle of 0 and 60 ms", got)
		}
		if got := samples[0].Uncertainty; got != 30*time.Millisecond {
			t.Errorf("uncertainty %v, want 30 ms", got)
		}
	})
}

// A poll longer than its period costs the ticks under it, which are counted, and
// does not move those after it.
func TestMissedTicksAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := newMemory(func(n int) time.Duration {
			if n == 3 || n == 4 {
				return 390 * time.Millisecond
			}
			return 0
		})
		main := halfSecond(anywhere)
		main.Fields[config.FieldCurrentC] = float32At(400) // two requests a poll: 3 and 4 are the second's
		samples, reports := inBubble(t, m, map[string]config.Meter{"main": main}, 3*time.Second-1)
		var sent []time.Duration
		for _, s := range samples {
			sent = append(sent, s.Time.Add(-s.Uncertainty).Sub(start))
		}
		want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 2 * time.Second, 2500 * time.Millisecond}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Errorf("polls (-want +got):\n%s", diff)
		}
		if got := reports[len(reports)-1].Counters.Missed; got != 1 {
			t.Errorf("%d ticks missed, want 1", got)
		}
	})
}

func TestSettleAndGapAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := newMemory(noDelay)
		main := halfSecond(anywhere)
		main.Settle, main.Gap = 100*time.Millisecond, 20*time.Millisecond
		main.Fields[config.FieldCurrentC] = float32At(400)
		inBubble(t, m, map[string]config.Meter{"main": main}, 510*time.Millisecond)
		var asked []time.Duration
		for _, at := range m.asked {
			asked = append(asked, at.Sub(start))
		}
		want := []time.Duration{100 * time.Millisecond, 120 * time.Millisecond, 500 * time.Millisecond}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// After a minute without anybody at the other end, polls are right within 10 s.
func TestHealsWithinTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(noDelay)
		var up time.Time
		m.down.Store(true)
		time.AfterFunc(time.Minute, func() {
			up = time.Now()
			m.down.Store(false)
		})
		samples, reports := inBubble(t, m, map[string]config.Meter{"main": halfSecond(anywhere)}, 80*time.Second)
		if len(samples) == 0 {
			t.Fatal("never right again")
		}
		if after := samples[0].Time.Sub(up); after > 10*time.Second {
			t.Errorf("right again only %v after the fault", after)
		}
		if m.dials.Load() > 25 {
			t.Errorf("dialled %d times in a minute", m.dials.Load())
		}
		if last := reports[len(reports)-1].Counters; last.Missed == 0 || last.Errors == 0 {
			t.Errorf("counters %+v hide the outage", last)
		}
	})
}

// The values of other meters join for three of their periods.
func TestOtherMetersJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := newMemory(noDelay)
		plc := halfSecond("tcp://127.0.0.1:503")
		plc.Unit = 2
		plc.Fields = map[string]config.Field{
			config.FieldSetPoint: float32At(0),
			config.FieldFeeding:  {Address: 2, Function: 3, Type: "bit", Bit: 15, Order: "ABCD"},
		}
		go func() {
			time.Sleep(1900 * time.Millisecond) // the PLC has been read four times
			m.mu.Lock()
			m.dead[2] = true
			m.mu.Unlock()
		}()
		samples, _ := inBubble(t, m, map[string]config.Meter{"main": halfSecond(anywhere), "plc": plc}, 6*time.Second)
		for _, s := range samples[1:] {
			age := s.Time.Sub(start.Add(1500 * time.Millisecond))
			fresh := age <= 1500*time.Millisecond
			if (s.SetPoint != 0) != fresh {
				t.Errorf("set-point %v when it is %v old", s.SetPoint, age)
			}
			if fed := s.Bits&drivers.Feeding != 0; fed && !fresh {
				t.Errorf("feeding is reported %v after it was read", age)
			}
		}
	})
}

// However long two units of one line have been dead, a healthy third one is
// polled on most of its ticks.
func TestSharedLineUnderVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(noDelay)
		m.dead[2] = true
		plc := halfSecond(anywhere)
		plc.Unit = 2
		plc.Fields = map[string]config.Field{config.FieldSetPoint: float32At(0)}
		samples, _ := inBubble(t, m, map[string]config.Meter{"main": halfSecond(anywhere), "plc": plc}, 10*time.Minute)
		if got, of := len(samples), 1200; got < of*85/100 {
			t.Errorf("%d samples of %d", got, of)
		}
		if asked := m.count() - len(samples); asked > 130 {
			t.Errorf("the dead unit was asked %d times in ten minutes", asked)
		}
	})
}

func TestFirstTickAfterAFaultIsTried(t *testing.T) {
	var b backoff
	now := time.Now()
	b.fail(now)
	if b.waiting(now) {
		t.Error("one failure already makes the next tick wait")
	}
	longest := time.Duration(0)
	for range 50 {
		b.fail(now)
		longest = max(longest, b.until.Sub(now))
	}
	if longest > retry.MaxWait || longest < retry.MaxWait/2 {
		t.Errorf("longest wait %v, want up to %v", longest, retry.MaxWait)
	}
}

func TestCancelCutsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := newMemory(noDelay)
		m.dead[1] = true
		inBubble(t, m, map[string]config.Meter{"main": halfSecond(anywhere)}, 100*time.Millisecond)
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("Run returned after %v, want with its context", took)
		}
	})
}
