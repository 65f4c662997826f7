package liveness

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/thinning"
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
	encoding encoding
	start    time.Time
	// thinner drops pictures as the relay does; nil decodes all. The pictures before a key
	// frame's next one are equal to those of a full decode, so they are dropped after it.
	thinner *thinning.Thinner
	waiting []numbered // in the decoder
}

type numbered struct {
	n int
	p Picture
}

// A decoder with two threads holds two pictures, and the relay keeps four of a group then.
const (
	held = 2
	kept = 2 + held
)

func newScreening(e encoding) *screening {
	s := &screening{detector: NewDetector(factory), encoding: e, start: time.Now()}
	s.detector.Opened()
	return s
}

func newThinnedScreening(e encoding) *screening {
	s := newScreening(e)
	s.thinner = thinning.New(kept, 90_000)
	return s
}

// screenings are all ways in which an encoding's pictures are decoded.
func screenings(e encoding) []*screening {
	if e.keyEvery > time.Second {
		return []*screening{newScreening(e)}
	}
	return []*screening{newScreening(e), newThinnedScreening(e)}
}

func (s *screening) String() string {
	if s.thinner == nil {
		return s.encoding.String()
	}
	return s.encoding.String() + ", thinned"
}

// bound is how long a freeze may last before it is named.
func (s *screening) bound() time.Duration {
	if s.thinner == nil {
		return 3*time.Second + s.encoding.keyEvery
	}
	return 3 * time.Second
}

func (s *screening) at(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(s.encoding.rate)
}

func (s *screening) show(n int, p Picture) drivers.Status {
	arrival := s.start.Add(s.at(n))
	if s.thinner == nil {
		s.detector.Frame(s.at(n), arrival, p)
	} else {
		s.decode(n, p, arrival)
	}
	status, _ := s.detector.Status(arrival)
	return status
}

// decode passes a picture on if it is not dropped, when the decoder gives it.
func (s *screening) decode(n int, p Picture, arrival time.Time) {
	isKey := n%s.encoding.keyDistance() == 0
	if passes, _ := s.thinner.Packet(thinning.Packet{Stamp: uint32(n * 90_000 / s.encoding.rate), IDR: isKey, Other: !isKey}); !passes {
		return
	}
	if s.waiting = append(s.waiting, numbered{n, p}); len(s.waiting) > held {
		first := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.detector.Frame(s.at(first.n), arrival, first.p)
	}
}

func work(state furnace.Name) furnace.Scenario {
	return furnace.Scenario{Name: "work", Seed: 1, Segments: []furnace.Segment{{State: state, Seconds: 1e6}}}
}

// freezes counts what a screening says of a furnace whose picture stops.
type freezes struct {
	*screening
	named, lingered int
	lost            int // pictures of a freeze after its name whose status was another one
	slowest         time.Duration
	since           int
	found           bool
}

// see looks at picture n, which is so many after the picture began to move.
func (f *freezes) see(n, at, lively int, p Picture) {
	status := f.show(n, p)
	switch {
	case at == lively:
		f.since, f.found = n, false
	case at == lively/2 && status == drivers.Frozen:
		f.lingered++
	}
	if at >= lively && f.found && status != drivers.Frozen {
		f.lost++
	}
	if at < lively || f.found || status != drivers.Frozen {
		return
	}
	took := f.at(n - f.since)
	f.found = true
	if took <= f.bound() {
		f.named++
	}
	f.slowest = max(f.slowest, took)
}

// A furnace at work whose picture stops at any phase of the key frames, through
// encoders that are short of bits: each freeze has its name within 3 s and one
// distance of key frames, or within 3 s where only the first pictures of each group are
// decoded, in 95 of 100.
func TestFreezesThroughStarvedEncoders(t *testing.T) {
	needEncoder(t)
	if testing.Short() {
		t.Skip("minutes of work under the race detector: left out by -short")
	}
	count := int(amount(t, "MELTWATCH_FREEZES", 3))
	for k, e := range starved(t) {
		t.Run(e.String(), func(t *testing.T) {
			// Work for 8 s, then stand still for as long as the bound and 5 s more.
			bound := 3*time.Second + e.keyEvery
			lively, still := 8*e.rate, int((bound+5*time.Second).Seconds()*float64(e.rate))
			round := lively + still + 1 // 1 lets the phase of the key frames drift
			frozen := func(n int) bool { return n%round >= lively }
			var ways []*freezes
			for _, s := range screenings(e) {
				ways = append(ways, &freezes{screening: s})
			}
			err := film(t.Context(), e, count*round, furnaceSource(work(furnace.Normal), uint64(100+k), e.rate, 2, frozen), func(n int, p Picture) {
				for _, f := range ways {
					f.see(n, n%round, lively, p)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range ways {
				t.Logf("%s: %d of %d named within %v, the slowest named after %v", f, f.named, count, f.bound(), f.slowest)
				if f.named*100 < 95*count || f.lingered > 0 || f.lost > 0 {
					t.Errorf("%s: %d of %d named within %v, want 95 %%; %d still frozen 4 s after work went on, %d pictures not frozen after the name",
						f, f.named, count, f.bound(), f.lingered, f.lost)
				}
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
	for _, e := range starved(t) {
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
			spells := make([][2]int, len(cameras)) // with every picture decoded, and thinned
			for k, e := range cameras {
				ways, before := screenings(e), [2]drivers.Status{}
				group.Go(func() error {
					return film(ctx, e, n, sources[k], func(n int, p Picture) {
						for way, s := range ways {
							status := s.show(n, p)
							if status == drivers.Frozen && before[way] != status {
								spells[k][way]++
							}
							before[way] = status
						}
					})
				})
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			for k, e := range cameras {
				for way, s := range screenings(e) {
					t.Logf("%s, %s: %.2f h, called frozen %d times", state, s, share, spells[k][way])
					alarms += spells[k][way]
				}
				total += share
			}
		}
	}
	t.Logf("%d false in %.2f h", alarms, total)
	if float64(alarms) > total/24 {
		t.Errorf("called frozen %d times in %.2f quiet hours, want one in 24 at most", alarms, total)
	}
}
