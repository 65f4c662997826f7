package thinning

import (
	"math"
	"slices"
	"testing"
	"time"
)

const (
	keep = 4
	rate = 90_000
)

// shown is one picture of a stream, in the order in which they come.
type shown struct {
	at    float64 // seconds
	key   bool
	other bool // of another kind
	sets  bool // parameter sets come before it
}

// stream has so many groups of so many pictures.
func stream(groups, pictures int, seconds float64, begin float64) (all []shown) {
	for g := range groups {
		for n := range pictures {
			all = append(all, shown{at: begin + float64(g)*seconds + float64(n)*seconds/float64(pictures), key: n == 0, other: n > 0, sets: n == 0})
		}
	}
	return all
}

// keyFrames has pictures without references.
func keyFrames(seconds float64, perSecond int, sets bool) (all []shown) {
	for n := range int(seconds * float64(perSecond)) {
		all = append(all, shown{at: float64(n) / float64(perSecond), key: true, sets: sets})
	}
	return all
}

// passed sends the pictures, three packets each, and returns which of them passed. They arrive
// when they are shown.
func passed(t *testing.T, all []shown) []bool {
	t.Helper()
	return arriving(t, all, func(at float64) float64 { return at })
}

// arriving is passed with the arrival of each instant.
func arriving(t *testing.T, all []shown, arrival func(at float64) float64) (passed []bool) {
	t.Helper()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	thinner := New(keep, rate)
	own, next := uint16(65_500), uint16(65_500)
	for n, p := range all {
		stamp := uint32(4_294_000_000 + int64(p.at*rate))
		packets := []Packet{{Stamp: stamp}, {Stamp: stamp, IDR: p.key, Other: p.other}, {Stamp: stamp, IDR: p.key, Other: p.other}}
		if p.sets {
			packets[0].Sets = true
		}
		for i := range packets {
			packets[i].Arrived = began.Add(time.Duration(arrival(p.at) * float64(time.Second)))
		}
		slices, skipped := 0, 0
		for i, packet := range packets {
			passes, skips := thinner.Packet(packet)
			if skips {
				skipped++
			}
			if passes {
				if got := thinner.Number(own); got != next {
					t.Fatalf("picture %d has a packet of number %d, want %d", n, got, next)
				}
				next++
				if i > 0 {
					slices++
				}
			}
			own++
		}
		if slices == 1 || skipped > 1 || (slices == 0) != (skipped == 1) {
			t.Fatalf("picture %d: %d of 2 slices passed, skipped %d times", n, slices, skipped)
		}
		passed = append(passed, slices > 0)
	}
	return passed
}

func count(passed []bool) (n int) {
	for _, one := range passed {
		if one {
			n++
		}
	}
	return n
}

func TestFirstPicturesOfEachGroupPass(t *testing.T) {
	for n, one := range passed(t, stream(30, 25, 1, 0)) {
		if want := n < 5*25 || n%25 < keep; one != want {
			t.Fatalf("picture %d passes: %v", n, one)
		}
	}
}

// Streams of which some pictures are dropped after the first five seconds: how many pass.
func TestStreams(t *testing.T) {
	swapped := stream(20, 24, 1, 0)
	for n := 0; n+1 < len(swapped); n += 3 { // B frames: the second of three is shown first
		swapped[n+1].at, swapped[min(n+2, len(swapped)-1)].at = swapped[min(n+2, len(swapped)-1)].at, swapped[n+1].at
	}
	recovery := stream(20, 25, 1, 0)
	for n := range recovery {
		recovery[n].key, recovery[n].other = false, true
	}
	between := stream(20, 25, 1, 0)
	for n := range between {
		between[n].sets = n%25 == 12
	}
	slices := stream(20, 25, 1, 0)
	for n := range slices {
		slices[n].other = true // slices of both kinds in one picture
	}
	for _, c := range []struct {
		name   string
		all    []shown
		passes int
	}{
		{"key frames 1 s apart", stream(20, 25, 1, 0), 125 + 15*keep},
		{"key frames 1 s apart, 10 a second", stream(20, 10, 1, 0), 50 + 15*keep},
		{"key frames 1 s apart, 7 a second", stream(20, 7, 1, 0), 140},
		{"key frames 1.08 s apart", stream(20, 27, 1.08, 0), 135 + 15*keep},
		{"key frames 0.5 s apart", stream(40, 12, 0.5, 0), 60 + 35*keep},
		{"key frames 1.2 s apart", stream(20, 30, 1.2, 0), 600},
		{"key frames 2 s apart", stream(10, 50, 2, 0), 500},
		{"key frames 4 s apart", stream(5, 100, 4, 0), 500},
		{"lengths that differ", slicesConcat(20), 20 * 25},
		{"B frames", swapped, 480},
		{"no IDR picture", recovery, 500},
		{"parameter sets between key frames", between, 500},
		{"slices of both kinds", slices, 500},
		{"Motion JPEG", keyFrames(20, 25, false), 125 + 15*keep},
		{"key frames alone, parameter sets with each", keyFrames(20, 25, true), 125 + 15*keep},
		{"key frames alone, five a second", keyFrames(20, 5, false), 100},
		{"stamps that stand still", make([]shown, 300), 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := count(passed(t, c.all)); got != c.passes {
				t.Errorf("%d of %d pictures passed, want %d", got, len(c.all), c.passes)
			}
		})
	}
}

// slicesConcat has groups of 25 pictures and of half a second and a second in turns.
func slicesConcat(groups int) (all []shown) {
	at := 0.0
	for g := range groups {
		seconds := 1 - 0.5*float64(g%2)
		all = append(all, stream(1, 25, seconds, at)...)
		at += seconds
	}
	return all
}

// A group that becomes longer ends the thinning with the next key frame, and no picture
// passes that refers to one that was dropped. It begins again after a minute, and the next
// time after two.
func TestLongerGroupEndsIt(t *testing.T) {
	all := slices.Concat(stream(10, 25, 1, 0), stream(1, 100, 4, 10), stream(100, 25, 1, 14), stream(1, 50, 2, 114), stream(200, 25, 1, 116))
	thinned := func(n, begin, first, end int) bool { return n >= begin+25*first && n < end && (n-begin)%25 >= keep }
	for n, one := range passed(t, all) {
		drops := thinned(n, 0, 5, 250) || n >= 250+keep && n < 350 ||
			thinned(n, 350, 5+59, 2850) || n >= 2850+keep && n < 2900 ||
			thinned(n, 2900, 5+119, len(all))
		if one == drops {
			t.Fatalf("picture %d passes: %v", n, one)
		}
	}
}

// A shorter group, as after a change of the scene, only interrupts it.
func TestShorterGroupInterrupts(t *testing.T) {
	all := slices.Concat(stream(10, 25, 1, 0), stream(1, 9, 0.36, 10), stream(20, 25, 1, 10.36))
	got := passed(t, all)
	if n := count(got[250:259]); n != keep {
		t.Errorf("%d pictures of the shorter group passed", n)
	}
	if n := count(got[259:384]); n != 125 {
		t.Errorf("%d of 125 pictures after it passed", n)
	}
	if n := count(got[384+25 : 384+50]); n != keep {
		t.Errorf("%d pictures of a later group passed", n)
	}
}

// A gap that the network made stays one.
func TestLostPacketIsStillMissing(t *testing.T) {
	thinner := New(keep, rate)
	lost := uint16(0)
	var last uint16
	for n := range 500 {
		p := Packet{Stamp: uint32(n * rate / 25), IDR: n%25 == 0, Other: n%25 > 0}
		own := uint16(n) + lost
		passes, _ := thinner.Packet(p)
		if !passes {
			continue
		}
		got, step := thinner.Number(own), uint16(1)
		if n == 402 {
			step += 3
		}
		if n > 0 && got-last != step {
			t.Fatalf("packet %d follows by %d", n, got-last)
		}
		last = got
		if n == 401 {
			lost = 3
		}
	}
}

func TestZeroThinnerDropsNothing(t *testing.T) {
	for _, thinner := range []*Thinner{{}, New(0, rate), New(keep, 0), New(-1, rate)} {
		for n := range 1000 {
			if passes, _ := thinner.Packet(Packet{Stamp: uint32(n * 3600), IDR: n%25 == 0, Other: n%25 > 0}); !passes || thinner.Number(7) != 7 {
				t.Fatal("a packet was dropped")
			}
		}
	}
}

// Whatever comes, a picture that passes refers to none that was dropped, parameter sets of a
// key frame pass with it, and the numbers have no gaps.
func FuzzThinner(f *testing.F) {
	f.Add(byte(4), []byte{1, 24, 1, 24, 1, 24, 1, 24, 1, 24, 1, 24, 1, 99, 1, 24})
	f.Add(byte(4), slices.Repeat([]byte{1}, 300))
	f.Add(byte(3), slices.Repeat([]byte{200, 24, 201, 20, 202}, 9))
	f.Fuzz(func(t *testing.T, keep byte, script []byte) {
		thinner := New(int(keep%9), rate)
		stamp, own, next := uint32(1<<32-200_000), uint16(0), uint16(0)
		broken := true // a picture since the last key frame was dropped, or none has come
		send := func(p Packet) bool {
			passes, _ := thinner.Packet(p)
			if passes {
				if got := thinner.Number(own); got != next {
					t.Fatalf("number %d, want %d", got, next)
				}
				next++
			}
			own++
			return passes
		}
		other := func() {
			passes := send(Packet{Stamp: stamp, Other: true})
			if passes && broken && thinner.closed > 0 {
				t.Fatal("a picture passed whose reference did not")
			}
			broken = broken || !passes
		}
		for i, b := range script {
			switch {
			case b == 0: // a packet without a slice
				send(Packet{Stamp: stamp})
			case b < 4: // a key frame, with parameter sets or without
				stamp += 3600
				sets := b == 2 || i%7 == 0
				first := send(Packet{Stamp: stamp, Sets: sets})
				passes := send(Packet{Stamp: stamp, IDR: true})
				if passes && sets && !first {
					t.Fatal("a key frame passed without its parameter sets")
				}
				broken = !passes
			case b < 150:
				for range b % 60 {
					stamp += 3600
					other()
				}
			case b < 200: // the clock jumps
				stamp += uint32(b) * 10_000
				other()
			case b < 220: // another kind of slice in the same picture
				other()
			default:
				stamp -= 3600 * uint32(b%5)
				other()
			}
		}
	})
}

// Where stamps begin anew in a stream of key frames alone, the next pictures pass: no other
// kind of picture tells it.
func TestStampsThatFallBack(t *testing.T) {
	began := keyFrames(10.4, 25, false)
	all := slices.Clone(began)
	for _, p := range keyFrames(10, 25, false) {
		p.at -= 1000
		all = append(all, p)
	}
	got := passed(t, all)
	if n := count(got[len(began):][:5*25]); n != 5*25 {
		t.Errorf("%d of 125 pictures passed after it", n)
	}
	if n := count(got[len(began)+7*25:][:25]); n != keep {
		t.Errorf("%d pictures of a later second passed", n)
	}
}

// Parameter sets pass that come with the stamp of a dropped picture, after its slices: they
// are those of the next key frame.
func TestParameterSetsWithTheStampBefore(t *testing.T) {
	thinner := New(keep, rate)
	for n := range 500 {
		stamp := uint32(n * rate / 25)
		passes, _ := thinner.Packet(Packet{Stamp: stamp, IDR: n%25 == 0, Other: n%25 > 0})
		if n%25 != 24 {
			continue
		}
		if n > 150 && passes {
			t.Fatalf("picture %d passes", n)
		}
		if passes, skips := thinner.Packet(Packet{Stamp: stamp, Sets: true}); !passes || skips {
			t.Fatalf("the parameter sets after picture %d pass: %v, skipped: %v", n, passes, skips)
		}
	}
}

// A key frame lost each two hours does not make the pauses longer and longer.
func TestRareLossesEndItForAMinuteEach(t *testing.T) {
	const between, pictures = 2 * 3600, 10
	var all []shown
	for n := range 4 {
		all = slices.Concat(all, stream(between, pictures, 1, float64(n*(between+2))), stream(1, 2*pictures, 2, float64(n*(between+2)+between)))
	}
	got := passed(t, all)
	for n := range 3 {
		lost := (n + 1) * (between + 2) * pictures
		if rest := count(got[lost:][:61*pictures]); rest < 58*pictures {
			t.Errorf("loss %d: %d pictures pass in the minute after it", n, rest)
		}
		if later := count(got[lost:][70*pictures : 80*pictures]); later != 10*keep {
			t.Errorf("loss %d: %d pictures pass in ten seconds later", n, later)
		}
	}
}

// Groups that arrive further apart than their stamps say are not thinned: their pictures would
// be too far apart.
func TestStampsThatRunSlower(t *testing.T) {
	const groups = 30
	for name, all := range map[string][]shown{"groups": stream(groups, 25, 1, 0), "key frames alone": keyFrames(groups, 25, false)} {
		for factor, thinned := range map[float64]bool{0.5: true, 1: true, 1.02: true, 2: false, 90: false} {
			n := count(arriving(t, all, func(at float64) float64 { return factor * at }))
			if want := 5*25 + (groups-5)*keep; thinned && n != want || !thinned && n != len(all) {
				t.Errorf("%s, arriving %g times as far apart: %d of %d pictures passed", name, factor, n, len(all))
			}
		}
	}
	// A camera that slows down, as one does in the dark: three groups tell it.
	all := stream(40, 25, 1, 0)
	got := arriving(t, all, func(at float64) float64 { return at + max(0, at-20) })
	if n := count(got[23*25:]); n != 17*25 {
		t.Errorf("%d of %d pictures passed after the third longer group", n, 17*25)
	}
}

// Pauses of the network, after which what it held comes at once, do not end it.
func TestPausesOfTheNetwork(t *testing.T) {
	all := stream(120, 25, 1, 0)
	for _, pause := range []float64{0.5, 2, 4, 8} {
		got := arriving(t, all, func(at float64) float64 {
			if since := math.Mod(at, 30); since < pause {
				return at - since + pause // held until the pause is over
			}
			return at
		})
		if n, want := count(got[5*25:]), 115*keep; n != want {
			t.Errorf("pauses of %g s: %d pictures passed, want %d", pause, n, want)
		}
	}
}
