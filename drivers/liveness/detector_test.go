package liveness

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"meltwatch/drivers"
)

var limits = Limits{StaleAfter: 2 * time.Second, FrozenAfter: 2500 * time.Millisecond, BlackAfter: 2 * time.Second}

// scene draws a lit, structured picture; moved shifts the light in it, noise is
// the deviation of the sensor's noise.
func scene(r *rand.Rand, moved int, noise float64) Picture {
	p := Picture{Width: PictureWidth, Height: PictureHeight}
	columns := make([]float64, p.Width)
	for x := range columns {
		columns[x] = 90 + 40*math.Sin(float64(x+moved)/24)
	}
	for y := range p.Height {
		row := 30 * math.Cos(float64(y)/15)
		for _, column := range columns {
			p.Pixels = append(p.Pixels, level(column+row+noise*r.NormFloat64()))
		}
	}
	return p
}

func flat(r *rand.Rand, light, noise float64) Picture {
	p := Picture{Width: PictureWidth, Height: PictureHeight, Pixels: make([]byte, PictureWidth*PictureHeight)}
	for i := range p.Pixels {
		p.Pixels[i] = level(light + noise*r.NormFloat64())
	}
	return p
}

func level(v float64) byte { return byte(min(max(v, 0), 255)) }

// written puts a clock of n digits into the picture.
func written(p Picture, n int) Picture {
	for y := 4; y < 13; y++ {
		for x := 10; x < 10+6*n; x++ {
			p.Pixels[y*p.Width+x] = byte(37 * (x + y + n) * int(p.Pixels[0]))
		}
	}
	return p
}

func TestDetectorOnPictures(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	repeated := scene(r, 0, 3)
	for _, c := range []struct {
		name   string
		spell  time.Duration
		frame  func(n int) Picture
		status drivers.Status
	}{
		{"something moves", 5 * time.Second, func(n int) Picture { return scene(r, n, 0) }, drivers.OK},
		{"something moves once a second", 5 * time.Second, func(n int) Picture { return scene(r, n/25*8, 0) }, drivers.OK},
		{"still scene with sensor noise", 5 * time.Second, func(int) Picture { return scene(r, 0, 3) }, drivers.OK},
		{"noise alone for a long time", 26 * time.Second, func(int) Picture { return scene(r, 0, 3) }, drivers.Frozen},
		{"the same picture always", 3 * time.Second, func(int) Picture { return repeated }, drivers.Frozen},
		{"one picture, not yet for long", 2400 * time.Millisecond, func(int) Picture { return repeated }, drivers.OK},
		{"one picture with a running clock in it", 3 * time.Second, func(n int) Picture {
			p := repeated
			p.Pixels = append([]byte{byte(n)}, repeated.Pixels[1:]...)
			return written(p, 2) // the seconds
		}, drivers.Frozen},
		{"lens covered", 3 * time.Second, func(int) Picture { return flat(r, 2, 2) }, drivers.Black},
		{"black for a moment", 1500 * time.Millisecond, func(int) Picture { return flat(r, 2, 2) }, drivers.OK},
		{"dark, with a glowing spot", 5 * time.Second, func(n int) Picture {
			p := flat(r, 4, 2)
			for y := 60; y < 100; y++ {
				for x := 100; x < 140; x++ {
					p.Pixels[y*p.Width+x] = byte(150 + 40*math.Sin(float64(n)/9))
				}
			}
			return p
		}, drivers.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, at := NewDetector(limits), time.Now()
			j.Opened()
			for n := range int(c.spell/frameTime) + 1 {
				if _, isNew := j.Frame(time.Duration(n)*frameTime, at, c.frame(n)); !isNew {
					t.Fatalf("frame %d is not taken for a new one", n)
				}
				at = at.Add(frameTime)
			}
			if status, cause := j.Status(at.Add(-frameTime)); status != c.status {
				t.Errorf("%s (%s), want %s", status, cause, c.status)
			}
		})
	}
}

// follow goes through a camera's life and checks the status at every step.
func TestDetectorOnAStream(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	j, at := NewDetector(limits), time.Now()
	expect := func(want drivers.Status, cause string) {
		t.Helper()
		if status, why := j.Status(at); status != want || !strings.Contains(why, cause) {
			t.Errorf("%s (%s), want %s (…%s…)", status, why, want, cause)
		}
	}
	presentation := time.Duration(0)
	play := func(n int) {
		for range n {
			at, presentation = at.Add(frameTime), presentation+frameTime
			j.Frame(presentation, at, scene(r, int(presentation/frameTime), 2))
		}
	}
	expect(drivers.Absent, "no frame yet")
	j.Absent("refused")
	expect(drivers.Absent, "refused")
	j.Closed("wrong path") // it answers, but there never was a frame
	expect(drivers.Absent, "wrong path")
	j.Opened()
	play(10)
	expect(drivers.OK, "")

	for range 100 { // the decoder repeats the last frame
		at = at.Add(frameTime)
		if _, isNew := j.Frame(presentation, at, scene(r, 0, 2)); isNew {
			t.Fatal("a frame whose time stands still is taken for a new one")
		}
	}
	expect(drivers.Stale, "no new frame for 4s")
	for range 3 { // frames it still held come at last
		presentation += frameTime
		j.Frame(presentation, at, scene(r, 0, 2))
	}
	expect(drivers.Stale, "no new frame for 3.9s")
	j.Closed("the stream ended")
	expect(drivers.Stale, "the stream ended")
	j.Absent("refused")
	expect(drivers.Absent, "refused")

	j.Opened()
	expect(drivers.Stale, "")
	presentation = 0 // the new stream counts from zero
	play(10)
	expect(drivers.OK, "")
}

// A stream whose delay grows shows the past, and is stale however many frames
// still come.
func TestDetectorOnAGrowingDelay(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	j, start := NewDetector(limits), time.Now()
	j.Opened()
	at := start
	for n := range 20 * 25 {
		at = start.Add(time.Duration(float64(n) * 1.25 * float64(frameTime)))
		j.Frame(time.Duration(n)*frameTime, at, scene(r, n, 2))
	}
	if status, cause := j.Status(at); status != drivers.Stale {
		t.Errorf("%s (%s) at a delay of 5 s, want stale", status, cause)
	}
}

func FuzzDetector(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6}, uint8(3), uint8(2))
	f.Fuzz(func(t *testing.T, script []byte, width, height uint8) {
		j, at := NewDetector(limits), time.Now()
		for i, b := range script {
			at = at.Add(time.Duration(b) * 10 * time.Millisecond)
			switch b % 5 {
			case 0:
				j.Opened()
			case 1:
				j.Closed("closed")
			case 2:
				j.Absent("absent")
			default:
				p := Picture{Width: int(width), Height: int(height), Pixels: make([]byte, int(width)*int(height))}
				if len(p.Pixels) > 0 {
					p.Pixels[i%len(p.Pixels)] = b
				}
				j.Frame(time.Duration(int8(b))*time.Millisecond, at, p)
			}
			if status, cause := j.Status(at); status.Live() != (cause == "") {
				t.Errorf("%s with cause %q", status, cause)
			}
		}
	})
}
