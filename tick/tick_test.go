package tick

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// origin belongs to the package, so these tests are not parallel.

func from(t *testing.T, when time.Time) {
	before := origin.Load()
	From(when)
	t.Cleanup(func() { origin.Store(before) })
}

func TestTimersThatBeganApartFireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from(t, time.Now().Add(-300*time.Millisecond))
		var fired []time.Time
		first := New(time.Second)
		time.Sleep(123 * time.Millisecond)
		second := New(time.Second)
		time.Sleep(400 * time.Millisecond)
		third := New(500 * time.Millisecond)
		for range 5 {
			select {
			case <-first.C:
				first.Next()
			case <-second.C:
				second.Next()
			}
			select {
			case <-first.C:
				first.Next()
			case <-second.C:
				second.Next()
			}
			<-third.C
			third.Next()
			fired = append(fired, time.Now())
			<-third.C
			third.Next()
		}
		for i, when := range fired[1:] {
			if passed := when.Sub(fired[i]); passed != time.Second {
				t.Errorf("round %d came %s after the one before, want 1s", i+1, passed)
			}
		}
	})
}

func TestNextInstantIsAheadWhateverTheClock(t *testing.T) {
	for _, unix := range []int64{0, 1, 999_999_999, 1_000_000_000, -1, -1_000_000_000, 1_800_000_000_123_456_789} {
		for _, begin := range []int64{0, 250_000_000, -5, 1_900_000_000_000_000_000} {
			from(t, time.Unix(0, begin))
			now := time.Unix(0, unix)
			wait := Until(now, time.Second)
			if wait <= 0 || wait > time.Second {
				t.Errorf("from %d at %d: %s, want more than 0 and at most 1s", begin, unix, wait)
			}
			if off := (now.Add(wait).UnixNano() - begin) % int64(time.Second); off != 0 {
				t.Errorf("from %d at %d: %d ns off the common instant", begin, unix, off)
			}
		}
	}
}

func TestSleepEndsAtTheInstantOrWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from(t, time.Now())
		time.Sleep(400 * time.Millisecond)
		began := time.Now()
		if !Sleep(t.Context(), time.Second) || time.Since(began) != 600*time.Millisecond {
			t.Errorf("slept %s, want 600ms", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if Sleep(ctx, time.Second) {
			t.Error("a sleep that its context ended says that the instant came")
		}
	})
}
