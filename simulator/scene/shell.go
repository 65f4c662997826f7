package scene

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/furnace"
)

// rim is where the shell ends and the mouth begins, as a share of the crop's
// side above its top edge.
const rim = -0.05

// halfShell is half the shell's width in crop sides.
const halfShell = 0.72

// shell is the furnace's outside as painted by years of work: steel, rust,
// seams, stains. It never changes within a batch.
type shell struct {
	batch  furnace.Batch
	seed   uint32
	stains []stain
}

// stain is a patch of another colour: white lime, pale dust, dark oil, rust.
type stain struct {
	x, y, rx, ry, ragged float64
	colour               [3]float64
	strength             float64
	drip                 float64 // length of the run below it
}

func newShell(b furnace.Batch) shell {
	r := rand.New(rand.NewPCG(b.Seed, 7))
	s := shell{batch: b, seed: uint32(b.Seed)}
	colours := [][3]float64{{0.85, 0.85, 0.82}, {0.7, 0.68, 0.6}, {0.06, 0.06, 0.07}, {0.34, 0.15, 0.08}, {0.8, 0.72, 0.5}}
	for range b.Stains {
		size := 0.015 + 0.09*r.Float64()*r.Float64()
		s.stains = append(s.stains, stain{
			x: r.Float64()*1.3 - 0.15, y: r.Float64(), rx: size * (0.6 + r.Float64()), ry: size * (0.6 + r.Float64()),
			ragged: 0.4 + 0.6*r.Float64(), colour: colours[r.IntN(len(colours))], strength: 0.4 + 0.6*r.Float64(),
			drip: r.Float64() * r.Float64() * 0.3,
		})
	}
	return s
}

// reflectance is the share of light that the picture's static parts send back
// at (x, y) in crop sides, R, G, B.
func (s shell) reflectance(x, y float64) [3]float64 {
	x, y = s.posed(x, y)
	across := (x - 0.5) / halfShell
	switch {
	case math.Abs(across) > 1:
		return s.hall(x, y)
	case y < rim:
		return s.mouth(x, y)
	}
	// Steel, coarse and fine, with rust running down.
	grey := 0.20 + 0.16*cloud(x*5, y*5, 3, s.seed) + 0.07*(cloud(x*34, y*34, 3, s.seed+11)-0.5)
	rust := smooth(2.4*cloud(x*9, y*2.2, 3, s.seed+23) - 1.1)
	c := [3]float64{grey * (1 + 0.35*rust), grey * (1 - 0.12*rust), grey * (1 - 0.35*rust)}
	for _, t := range s.stains {
		c = t.paint(c, x, y, s.seed)
	}
	shade := s.relief(x, y, across)
	for i := range c {
		c[i] *= shade
	}
	return c
}

// posed turns a place in the picture into one on the furnace, both in crop sides.
func (s shell) posed(x, y float64) (float64, float64) {
	return (x-0.5)/s.batch.Zoom + 0.5 - s.batch.PoseX, (y-0.5)/s.batch.Zoom + 0.5 - s.batch.PoseY
}

// relief is the shading of a round shell with seams, a flange and the shadow of
// its rim.
func (s shell) relief(x, y, across float64) float64 {
	round := 0.35 + 0.65*math.Sqrt(1-across*across)
	seam := math.Abs(fract(x*2.6+float64(s.seed%97)/97) - 0.5)
	shade := round * (1 - 0.45*smooth(1-seam/0.025))
	shade *= 0.35 + 0.65*smooth((y-rim)/0.13) // the rim throws a shadow
	flange := math.Abs(y - 0.78)
	shade *= 1 + 0.35*smooth(1-flange/0.012) - 0.4*smooth(1-math.Abs(y-0.80)/0.015)
	return shade * (1.05 - 0.25*y)
}

// paint lays the stain over colour c at (x, y).
func (t stain) paint(c [3]float64, x, y float64, seed uint32) [3]float64 {
	dx, dy := (x-t.x)/t.rx, (y-t.y)/t.ry
	if dy > 0 && t.drip > 0 {
		dy = max(0, (y-t.y-t.drip*patches(x*60, t.y*9, seed))/t.ry)
	}
	if math.Abs(dx) > 2.2 || math.Abs(dy) > 2.2 {
		return c
	}
	edge := math.Hypot(dx, dy) + t.ragged*(cloud(x*22, y*22, 3, seed+57)-0.5)*1.6
	cover := t.strength * smooth((1.1-edge)/0.35)
	for i := range c {
		c[i] += (t.colour[i] - c[i]) * cover
	}
	return c
}

// hall is what stands behind the furnace: columns and a walkway in the dark.
func (s shell) hall(x, y float64) [3]float64 {
	g := 0.05 + 0.05*cloud(x*4, y*4, 3, s.seed+71)
	if fract(x*1.7+0.2) < 0.14 {
		g += 0.07
	}
	if math.Abs(y-0.62) < 0.012 || math.Abs(y-0.48) < 0.006 {
		g += 0.16
	}
	return [3]float64{g, g * 1.02, g * 1.05}
}

// electrodes are where the three stand, in crop sides, and how thick they are.
var electrodes = [...]float64{0.18, 0.5, 0.82}

const electrodeRadius = 0.065

// clampAt is where the electrodes' holders begin; the crop never reaches up to it.
const clampAt = -0.24

// mouth is the dark above the rim, with the three electrodes standing in it and,
// higher up, their holders.
func (s shell) mouth(x, y float64) [3]float64 {
	g := 0.04 + 0.03*cloud(x*6, y*6, 2, s.seed+83)
	for _, at := range electrodes {
		if d := math.Abs(x-at) / electrodeRadius; d < 1 {
			g = 0.09 + 0.10*math.Sqrt(1-d*d)
		}
		if d := math.Abs(x-at) / (1.5 * electrodeRadius); d < 1 && y < clampAt {
			g = 0.16 + 0.22*math.Sqrt(1-d*d)
			if y > clampAt-0.012 {
				g *= 0.45
			}
		}
	}
	return [3]float64{g, g, g * 1.03}
}

func fract(x float64) float64 { return x - math.Floor(x) }
