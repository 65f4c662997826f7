package liveness

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/drivers"
	"meltwatch/simulator/furnace"
)

// How much is measured: MELTWATCH_FREEZES a setting, and MELTWATCH_QUIET_HOURS in
// all, of a furnace's picture through a starved encoder. `make prove` asks for
// more than a test may take.
func amount(t *testing.T, variable string, usual float64) float64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value <= 0 {
		t.Fatalf("%s=%q is not a number above 0", variable, text)
	}
	return value
}

var factory = Limits{StaleAfter: 2 * time.Second, FrozenAfter: 2 * time.Second, BlackAfter: 2 * time.Second}

// screening follows the detector over a film and keeps when it called the picture
// frozen.
type screening struct {
	detector *Detector
	rate     int
	start    time.Time
}

func newScreening(rate int) *screening {
	s := &screening{NewDetector(factory), rate, time.Now()}
	s.detector.Opened()
	return s
}

func (s *screening) show(n int, p Picture) drivers.Status {
	at := time.Duration(n) * time.Second / time.Duration(s.rate)
	arrival := s.start.Add(at)
	s.detector.Frame(at, arrival, p)
	status, _ := s.detector.Status(arrival)
	return status
}

func work(state furnace.Name) furnace.Scenario {
	return furnace.Scenario{Name: "work", Seed: 1, Segments: []furnace.Segment{{State: state, Seconds: 1e6}}}
}

// A furnace at work whose picture stops at any phase of the key frames, through
// encoders that are short of bits: each freeze has its name within 3 s and one
// distance of key frames, in 95 of 100.
func TestFreezesThroughStarvedEncoders(t *testing.T) {
	needEncoder(t)
	if testing.Short() {
		t.Skip("minutes of work under the race detector: left out by -short")
	}
	freezes := int(amount(t, "MELTWATCH_FREEZES", 3))
	for k, e := range starved() {
		t.Run(e.String(), func(t *testing.T) {
			// Work for 8 s, then stand still for as long as the bound and 1 s more.
			bound := 3*time.Second + e.keyEvery
			lively, still := 8*e.rate, int((bound+time.Second).Seconds()*float64(e.rate))
			round := lively + still + 1 // 1 lets the phase of the key frames drift
			frozen := func(n int) bool { return n%round >= lively }
			s := newScreening(e.rate)
			named, lingered := 0, 0
			var slowest time.Duration
			since, found := 0, false
			err := film(t.Context(), e, freezes*round, furnaceSource(work(furnace.Normal), uint64(100+k), e.rate, 2, frozen), func(n int, p Picture) {
				status := s.show(n, p)
				switch at := n % round; {
				case at == lively:
					since, found = n, false
				case at == lively/2 && status == drivers.Frozen:
					lingered++
				}
				if took := time.Duration(n-since) * time.Second / time.Duration(e.rate); frozen(n) && !found && status == drivers.Frozen {
					found = true
					if took <= bound {
						named++
					}
					slowest = max(slowest, took)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d of %d named within %v, the slowest named after %v", named, freezes, bound, slowest)
			if named*100 < 95*freezes || lingered > 0 {
				t.Errorf("%d of %d named within %v, want 95 %%; %d still frozen 4 s after work went on", named, freezes, bound, lingered)
			}
		})
	}
}

// A quiet furnace, at work and standing, is not called frozen: at most once in
// 24 hours. The cameras of one size watch the same furnace, each through an
// encoder and with noise of its own.
func TestQuietHoursThroughStarvedEncoders(t *testing.T) {
	needEncoder(t)
	if testing.Short() {
		t.Skip("minutes of work under the race detector: left out by -short")
	}
	hours := amount(t, "MELTWATCH_QUIET_HOURS", 0.02)
	seed := uint64(amount(t, "MELTWATCH_QUIET_SEED", 200))
	bySize := map[int][]encoding{}
	for _, e := range starved() {
		bySize[e.width] = append(bySize[e.width], e)
	}
	total, alarms := 0.0, 0
	for i, state := range []furnace.Name{furnace.Normal, furnace.Off} {
		for _, cameras := range bySize {
			rate := cameras[0].rate
			// The small picture takes a third of the time to encode, so it gets twice the hours.
			share := hours / float64(6*len(cameras))
			if cameras[0].width == 640 {
				share *= 2
			}
			n := int(share * 3600 * float64(rate))
			group, ctx := errgroup.WithContext(t.Context())
			sources := sharedSources(ctx, work(state), seed+uint64(10*i+rate), rate, 2, len(cameras), n)
			spells := make([]int, len(cameras))
			for k, e := range cameras {
				s, before := newScreening(rate), drivers.OK
				group.Go(func() error {
					return film(ctx, e, n, sources[k], func(n int, p Picture) {
						status := s.show(n, p)
						if status == drivers.Frozen && before != status {
							spells[k]++
						}
						before = status
					})
				})
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			for k, e := range cameras {
				t.Logf("%s, %s: %.2f h, called frozen %d times", state, e, share, spells[k])
				total, alarms = total+share, alarms+spells[k]
			}
		}
	}
	t.Logf("%d false in %.2f h", alarms, total)
	if float64(alarms) > total/24 {
		t.Errorf("called frozen %d times in %.2f quiet hours, want one in 24 at most", alarms, total)
	}
}
