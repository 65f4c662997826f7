package scene

import (
	"math"
	"math/rand/v2"
)

// toneCurve is the camera's response: nearly a square root in the dark, rolling
// off towards white.
type toneCurve struct{ levels [toneSteps + 1]byte }

const (
	toneSteps = 8192
	toneTop   = 4 // exposed radiance that is white
)

func newToneCurve() *toneCurve {
	t := &toneCurve{}
	for i := range t.levels {
		x := float64(i) / toneSteps * toneTop
		t.levels[i] = byte(math.Round(255 * math.Pow(1-math.Exp(-1.5*x), 0.6)))
	}
	return t
}

// level is the byte for exposed radiance x.
func (t *toneCurve) level(x float32) byte {
	i := int(x * (toneSteps / toneTop))
	if uint(i) > toneSteps {
		if i < 0 {
			return t.levels[0]
		}
		return t.levels[toneSteps]
	}
	return t.levels[i]
}

// cellGrain is the share of the sensor's noise that is left a cell after
// averaging its pixels and after the encoder.
const cellGrain = 0.35

// grain is a strip of unit noise, in 1/16 of a grey level; every picture starts
// elsewhere on it.
type grain struct{ strip [1 << 15]int16 }

func newGrain(seed uint64) *grain {
	g := &grain{}
	r := rand.New(rand.NewPCG(seed, 11))
	for i := range g.strip {
		g.strip[i] = int16(r.NormFloat64() * 256)
	}
	return g
}

// add lays noise of the given strength in grey levels over bytes; row is the
// bytes of a row.
func (g *grain) add(pixels []byte, row int, strength, time float64) {
	k := int32(strength * cellGrain * 256)
	seed := uint32(math.Round(time * 50))
	for y := 0; y*row < len(pixels); y++ {
		at := int(hash(int32(y), int32(seed), 3) * float64(len(g.strip)-row))
		noise, out := g.strip[at:at+row], pixels[y*row:(y+1)*row]
		for x, b := range out {
			v := int32(b) + (int32(noise[x])*k+1<<15)>>16
			out[x] = byte(min(max(v, 0), 255))
		}
	}
}
