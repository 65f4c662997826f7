package analogue

import (
	"math"
	"math/rand/v2"
	"testing"

	"meltwatch/simulator/house"
)

// A black body at the freezing point of platinum, 2,042 K, has 60 cd/cm² (CGPM 1948).
func TestPlanck(t *testing.T) {
	var c camera
	// One lumen a 683rd of a watt, wavelengths a nanometre apart.
	const luminance = 683 * 1e-9
	sum := 0.0
	for nm := 400.0; nm < 720; nm++ {
		// The eye's sensitivity, roughly.
		off := (nm - 558) / 43
		eye := math.Exp(-0.5 * off * off)
		sum += luminance * eye * planck(nm*1e-9, 2042)
	}
	if sum < 5e5 || sum > 7e5 {
		t.Errorf("%.3g cd/m², want 6e5", sum)
	}
	c.heat()
	if g := c.radiance(1200); g[0] < 4*g[1] || g[1] < 10*g[2] {
		t.Errorf("%v at 1200 K is not red", g)
	}
}

func TestBlockCodingReturnsWhatItWasGiven(t *testing.T) {
	var b blocks
	b.build(0.01)
	var before, after [area]float32
	for i := range before {
		before[i] = float32(i*37%101)/101 + float32(i/side)/200
	}
	after = before
	b.code(&after)
	for i := range after {
		if d := math.Abs(float64(after[i] - before[i])); d > 0.01 {
			t.Fatalf("pixel %d is off by %.3f", i, d)
		}
	}
}

// A plain colour passes coder, cable and decoder, whatever the melt.
func TestAPlainColourSurvives(t *testing.T) {
	for seed := range uint64(30) {
		c := New(house.Setting{Seed: seed}).(*camera)
		if c.monochrome {
			continue
		}
		s := &c.signal
		s.noise, s.chromaNoise, s.hum, s.clicks, s.phaseError = 0, 0, 0, 0, 0
		const y, u, v = 0.5, 0.1, -0.15
		for i := range s.y {
			s.y[i], s.u[i], s.v[i] = y, u, v
		}
		c.transmit(1, 0, 0)
		i := 40*side + 40
		// The cable's loss is only partly restored, and an echo shifts chroma's phase.
		got := math.Hypot(float64(s.u[i]), float64(s.v[i])) / math.Hypot(u, v)
		if got < 0.2 || got > 2 {
			t.Errorf("seed %d: chroma is %.2f of what was sent", seed, got)
		}
		mean := float32(0)
		for x := range 16 {
			mean += s.y[i-8+x] / 16
		}
		if mean < y-0.04 || mean > y+0.04 {
			t.Errorf("seed %d: luma is %.3f, sent %.1f", seed, mean, y)
		}
		along := float64(s.u[i]*u+s.v[i]*v) / (math.Hypot(u, v) * math.Hypot(u, v))
		if s.ghost == 0 && along < 0.9*got {
			t.Errorf("seed %d: hue is %.3f %.3f", seed, s.u[i], s.v[i])
		}
	}
}

func TestTextureFillsItsRange(t *testing.T) {
	low, high := float32(1), float32(0)
	for _, v := range (dice{rand.New(rand.NewPCG(1, 2))}).texture(side, 5, 7, 3) {
		low, high = min(low, v), max(high, v)
	}
	if low != 0 || high != 1 {
		t.Errorf("from %v to %v", low, high)
	}
}
