package liveness

import (
	"math/rand/v2"
	"testing"
	"time"

	"meltwatch/drivers"
)

// bursts shows a film of 25 pictures a second of which the first of each second are decoded,
// two of them when the next second begins, and asks for the status 25 times a second.
func bursts(draw func(n int) Picture, n int, look func(n int, s drivers.Status, cause string)) {
	s := newThinnedScreening(encoding{rate: 25, keyEvery: time.Second})
	for i := range n {
		var p Picture
		if i < 25*6 || i%25 < kept { // the others are dropped
			p = draw(i)
		}
		s.show(i, p)
		status, cause := s.detector.Status(s.start.Add(s.at(i)))
		look(i, status, cause)
	}
}

// The faults of a picture are named within 3 s at any phase of the bursts, and end with them.
func TestFaultsInBursts(t *testing.T) {
	const lively, faulty = 25 * 12, 75
	r := rand.New(rand.NewPCG(4, 4))
	repeated := scene(r, 75, 3) // unlike those before it: the light returns after 151 pictures
	for _, c := range []struct {
		name string
		draw func() Picture
		want drivers.Status
	}{
		{"repeated", func() Picture { return repeated }, drivers.Frozen},
		{"black", func() Picture { return flat(r, 2, 2) }, drivers.Black},
	} {
		t.Run(c.name, func(t *testing.T) {
			for phase := 0; phase < 25; phase += 2 {
				begin := lively + phase
				named, ended := 0, 0
				bursts(func(n int) Picture {
					if n >= begin && n < begin+100 {
						return c.draw()
					}
					return scene(r, n, 3)
				}, begin+200, func(n int, s drivers.Status, cause string) {
					switch {
					case s == c.want && named == 0:
						named = n - begin
					case s == drivers.OK && named > 0 && ended == 0:
						ended = n - begin - 100
					case n > held && s != drivers.OK && (n < begin || s != c.want):
						t.Fatalf("phase %d, picture %d: %s (%s)", phase, n, s, cause)
					}
				})
				if named < 37 || named > faulty || ended < 0 || ended > 60 {
					t.Errorf("phase %d: named after %d pictures, ended %d after the fault", phase, named, ended)
				}
			}
		})
	}
}

// A still scene with noise, a camera whose light changes and one that moves in steps are
// live, however few pictures are decoded.
func TestLiveInBursts(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for name, draw := range map[string]func(n int) Picture{
		"still, with noise":    func(n int) Picture { return scene(r, n/300*8, 2) },
		"moves once a second":  func(n int) Picture { return scene(r, n/25*8, 0) },
		"moves":                func(n int) Picture { return scene(r, n, 0) },
		"noise that goes away": func(n int) Picture { return scene(r, n/300*8, max(0.8, 4-float64(n)/150)) },
	} {
		t.Run(name, func(t *testing.T) {
			bursts(draw, 25*40, func(n int, s drivers.Status, cause string) {
				if n > held && s != drivers.OK {
					t.Fatalf("picture %d: %s (%s)", n, s, cause)
				}
			})
		})
	}
}

// A stall is named as long after the last picture, decoded or not, as when every picture is
// decoded. A decoder that gives nothing while pictures come is named a second later.
func TestStallInBursts(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	s := newThinnedScreening(encoding{rate: 25, keyEvery: time.Second})
	for n := range 25 * 10 {
		s.show(n, scene(r, n, 2))
	}
	newest := s.detector.newest
	for _, c := range []struct {
		name        string
		last, named time.Duration // of the pictures that came, and the stall's name, since the newest frame
	}{
		{"with a frame", 0, factory.StaleAfter},
		{"between bursts", 800 * time.Millisecond, 800*time.Millisecond + factory.StaleAfter},
		{"later", 900 * time.Millisecond, 900*time.Millisecond + factory.StaleAfter},
		{"not at all", time.Hour, burstDistance + factory.StaleAfter},
	} {
		s.detector.Undecoded(newest.Add(c.last))
		if status, _ := s.detector.Status(newest.Add(c.named - time.Millisecond)); status != drivers.OK {
			t.Errorf("%s: %s before the limit", c.name, status)
		}
		if status, _ := s.detector.Status(newest.Add(c.named)); status != drivers.Stale {
			t.Errorf("%s: %s at the limit", c.name, status)
		}
	}
	s.detector.Undecoded(time.Time{})
	if status, _ := s.detector.Status(newest.Add(factory.StaleAfter)); status != drivers.Stale {
		t.Errorf("%s when every picture is decoded", status)
	}
	if got := s.detector.Timeout(2 * time.Second); got != 2*time.Second {
		t.Errorf("the next frame may take %v", got)
	}
}

// A comparison across a gap teaches the floor nothing; the frames before it replace those
// that are missing, unless they are the first ones or the gap is a stall.
func TestFloorInBursts(t *testing.T) {
	const between = 880 * time.Millisecond
	burst := func(r *repetition, share float64, gap time.Duration) {
		for range 4 {
			r.learnFrom(change{share: share})
		}
		r.learnFrom(change{missing: int(gap / (40 * time.Millisecond)), gap: gap})
	}
	learnt := func(share float64, gap time.Duration) float64 {
		var r repetition
		for range 8 {
			burst(&r, 0.2, between)
		}
		if r.floor < 0.1 || r.floor > 0.2 {
			t.Errorf("floor %v of a share of 0.2", r.floor)
		}
		burst(&r, share, gap)
		return r.floor
	}
	if with, without := learnt(0, between), learnt(0, 5*time.Second); with > 0.7*without {
		t.Errorf("floor %v, %v after a stall: the missing frames count for nothing", with, without)
	}
	var r repetition
	burst(&r, 1, between)
	if r.floor != 0 {
		t.Errorf("floor %v of four frames", r.floor)
	}
}

// A camera whose encoder drops the noise is live, if its picture moves now and then: at once
// where frames are lost soon after a few have moved, and soon where most of the first ones
// have moved.
func TestLiveWithoutNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	for _, moving := range []int{1, 2, 4, 9, 14, 20, 30, 50} {
		d, start := NewDetector(factory), time.Now()
		d.Opened()
		still, frozen := scene(r, 0, 0), 0
		for n := range 25 * 40 {
			at := time.Duration(n) * 40 * time.Millisecond
			switch {
			case n < moving || n%25 == 0:
				still = scene(r, n*8, 0)
			case n >= moving && n < moving+100:
				continue
			}
			d.Frame(at, start.Add(at), still)
			if status, cause := d.Status(start.Add(at)); status != drivers.OK {
				if frozen++; moving < 15 || frozen > 5*25 {
					t.Fatalf("%d pictures that moved, picture %d: %s (%s)", moving, n, status, cause)
				}
			}
		}
	}
}

// One black picture after a stall of seconds is not called black for half of the stall.
func TestAStallIsNotBlack(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	d, start := NewDetector(factory), time.Now()
	d.Opened()
	show := func(at time.Duration, p Picture) drivers.Status {
		d.Frame(at, start.Add(at), p)
		status, _ := d.Status(start.Add(at))
		return status
	}
	for n := range 50 {
		show(time.Duration(n)*40*time.Millisecond, scene(r, n, 3))
	}
	const after = 6900 * time.Millisecond // 4.9 s later
	for n, named := 0, time.Duration(0); n < 60 && named == 0; n++ {
		at := after + time.Duration(n)*40*time.Millisecond
		if show(at, flat(r, 2, 2)) == drivers.Black {
			if named = at - after; named < factory.BlackAfter-burstDistance/2 || named > factory.BlackAfter {
				t.Errorf("black after %v", named)
			}
		}
	}
	if status, _ := d.Status(start.Add(after + 59*40*time.Millisecond)); status != drivers.Black {
		t.Errorf("%s at the end", status)
	}
}

// watched shows so many pictures, 25 a second, and returns how many were called frozen.
func watched(d *Detector, start time.Time, first, n int, draw func(n int) Picture) (frozen int) {
	for i := first; i < first+n; i++ {
		at := time.Duration(i) * 40 * time.Millisecond
		d.Frame(at, start.Add(at), draw(i))
		if status, _ := d.Status(start.Add(at)); status == drivers.Frozen {
			frozen++
		}
	}
	return frozen
}

// A camera whose noise falls to a fifth from one picture to the next, as when a lamp is
// switched on, is live again after a few seconds, however slowly its picture moves.
func TestNoiseThatFallsAtOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	d, start := NewDetector(factory), time.Now()
	d.Opened()
	watched(d, start, 0, 25*20, func(n int) Picture { return scene(r, n/200, 3) })
	quieter := func(n int) Picture { return scene(r, n/200, 0.6) }
	n := watched(d, start, 25*20, 25*12, quieter)
	if n > 25*8 {
		t.Errorf("frozen for %d pictures", n)
	}
	if n := watched(d, start, 25*32, 25*60, quieter); n > 0 {
		t.Errorf("frozen for %d pictures of the following minute", n)
	}
}

// A stuck camera that shows another picture each ten seconds stays frozen, but for the seconds
// after each change.
func TestStuckCameraThatRefreshesNowAndThen(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	d, start := NewDetector(factory), time.Now()
	d.Opened()
	watched(d, start, 0, 25*20, func(n int) Picture { return scene(r, n, 3) })
	var encoded Picture
	const seconds = 120
	frozen := watched(d, start, 25*20, 25*seconds, func(n int) Picture {
		if n%25 == 0 { // a key frame quantises it anew
			encoded = scene(r, n/250*40, 1.5)
		}
		return encoded
	})
	if frozen < 25*seconds*9/10 {
		t.Errorf("frozen for %d of %d pictures", frozen, 25*seconds)
	}
}

// A camera that begins with repeated pictures is known soon after.
func TestRepeatsAtTheStart(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 13))
	d, start := NewDetector(factory), time.Now()
	d.Opened()
	first := scene(r, 0, 3)
	watched(d, start, 0, 12, func(int) Picture { return first })
	if n := watched(d, start, 12, 25*25, func(n int) Picture { return scene(r, n, 3) }); n > 0 {
		t.Errorf("frozen for %d live pictures", n)
	}
	var encoded Picture
	if n := watched(d, start, 12+25*25, 25*10, func(n int) Picture {
		if n%25 == 0 || encoded.Pixels == nil {
			encoded = scene(r, 700, 1.5)
		}
		return encoded
	}); n < 25*6 {
		t.Errorf("frozen for %d of 250 repeated pictures", n)
	}
}
