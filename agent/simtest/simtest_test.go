package simtest

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestMain(m *testing.M) {
	// A simulated day has a small heap of short-lived objects, so collect garbage less
	// often.
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// runDay simulates one day in virtual time.
func runDay(t *testing.T, seed uint64, planted bug, tell func(string, ...any)) (w *world) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { w = simulate(seed, planted, tell) })
	return w
}

func silence(string, ...any) {}

// seeds is the number of simulated days.
func seeds(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("SIM_SEEDS")
	if text == "" {
		if testing.Short() {
			return 1 // one goroutine leaves little for the race detector
		}
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SIM_SEEDS is %q: give the number of days", text)
	}
	return n
}

// share lets many days use every core. The few of make test leave one to package agent, which
// runs beside them and promises real time.
func share(t *testing.T) {
	t.Helper()
	if os.Getenv("SIM_SEEDS") != "" {
		t.Parallel()
	}
}

// Simulated days, each with other faults, break no promise. A failing day prints its
// seed.
func TestLives(t *testing.T) {
	began := time.Now()
	n := seeds(t, 6)
	made, received, repeated, boots := make([]int, n), make([]int, n), make([]int, n), make([]int, n)
	t.Run("seeds", func(t *testing.T) {
		for seed := range uint64(n) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				share(t)
				w := runDay(t, seed, none, silence)
				if w.broken != nil {
					t.Fatalf("seed %d: after %v\nreplay it: SIM_SEED=%d go test -run TestReplay -v ./agent/simtest", seed, w.broken, seed)
				}
				made[seed], received[seed] = w.records.sums()
				repeated[seed], boots[seed] = w.records.repeated(), w.starts
			})
		}
	})
	total := func(of []int) (n int) {
		for _, one := range of {
			n += one
		}
		return n
	}
	t.Logf("%d days in %s: %d records made, %d received, %d twice, %d starts of the agent",
		n, time.Since(began).Round(time.Second), total(made), total(received), total(repeated), total(boots))
}

// The same seed gives the same day: every message, state and fault at the same instant.
func TestSeedsReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("several days of life: left out by -short")
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			share(t)
			first, second := runDay(t, seed, none, silence), runDay(t, seed, none, silence)
			if first.trace != second.trace {
				t.Fatalf("seed %d: trace %016x, then %016x", seed, first.trace, second.trace)
			}
			if other := runDay(t, seed+1000, none, silence); other.trace == first.trace {
				t.Fatalf("seeds %d and %d leave the same trace", seed, seed+1000)
			}
		})
	}
}

// A simulation that finds no bug proves nothing: each planted bug must break a promise
// within a hundred days, and the day must replay.
func TestPlantedBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("several days of life: left out by -short")
	}
	for _, planted := range []bug{noSync, ackEarly, dropNotCounted} {
		t.Run(string(planted), func(t *testing.T) {
			share(t)
			for seed := range uint64(100) {
				w := runDay(t, seed, planted, silence)
				if w.broken == nil {
					continue
				}
				t.Logf("found with seed %d, after %v", seed, w.broken)
				if again := runDay(t, seed, planted, silence); again.broken == nil || again.trace != w.trace {
					t.Errorf("seed %d does not replay", seed)
				}
				return
			}
			t.Error("not found within 100 days")
		})
	}
}

// TestReplay logs one simulated day.
func TestReplay(t *testing.T) {
	text := os.Getenv("SIM_SEED")
	if text == "" {
		t.Skip("logs one day: set SIM_SEED")
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SIM_SEED is %q: give a seed", text)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Time{}
		w := simulate(seed, bug(os.Getenv("SIM_BUG")), func(format string, args ...any) {
			if began.IsZero() {
				began = time.Now()
			}
			t.Logf("%s "+format, append([]any{time.Since(began)}, args...)...)
		})
		t.Logf("trace %016x", w.trace)
		if w.broken != nil {
			t.Fatalf("after %v", w.broken)
		}
	})
}
