package relief

import (
	"math"
	"math/rand/v2"
)

// The relief is computed on a grid that is finer than the crop and reaches beyond it.
// Lengths are in sides of the crop; heights point to the camera.
const (
	fine   = 192
	cell   = 1.0 / 128
	margin = 0.25
)

// kinds of place on the grid.
type kind uint8

const (
	plate    kind = iota // the shell itself, through which heat comes
	fitting              // what is mounted on it and stays cool
	backdrop             // the hall behind it
)

// point is one cell of the grid.
type point struct {
	height  float32
	kind    kind
	albedo  rgb
	gloss   float32
	thermal float32 // how warm an overheated shell gets here
}

// geometry is what is drawn for a melt.
type geometry struct {
	seed               uint32
	sine, cosine       float32 // of the camera's roll
	radius, axis, rim  float32
	tilt               [2]float32 // how far the view shifts with height
	near               float32    // how large the crop shows a piece of shell
	dent, rough        float32
	ribs, flanges      rails
	pipes              rails
	upright            bool // pipes
	bolts              float32
	boltRadius         float32
	saddles            float32
	seams              rails
	patches            []patch
	hose               []position
	hoseRadius         float32
	material           material
	ribHeight, ribEdge float32
}

// rails are parallel features at a regular distance.
type rails struct{ every, first, width float32 }

// off is the distance from the nearest rail, and which one it is.
func (l rails) off(x float32) (float32, int32) {
	if l.every == 0 {
		return 9, 0
	}
	n := floor((x-l.first)/l.every + 0.5)
	return abs(x - l.first - n*l.every), int32(n)
}

type patch struct {
	x, y, width, height, sine, cosine, thick float32
	tint                                     rgb
}

type position struct{ x, y float32 }

func between(r *rand.Rand, low, high float32) float32 { return low + (high-low)*r.Float32() }

func newGeometry(r *rand.Rand) *geometry {
	roll := 0.09 * r.NormFloat64()
	g := &geometry{
		seed: r.Uint32(), sine: float32(math.Sin(roll)), cosine: float32(math.Cos(roll)),
		radius: between(r, 0.8, 2.2), axis: between(r, 0.15, 0.85), rim: -1,
		tilt: [2]float32{between(r, -0.5, 0.5), between(r, -0.6, 0.6)},
		near: 0.65 * float32(math.Exp2(1.5*r.Float64())),
		dent: between(r, 0.005, 0.04), rough: between(r, 0.0004, 0.0022),
	}
	if r.Float32() < 0.3 {
		g.radius = between(r, 0.45, 0.7)
	}
	if r.Float32() < 0.3 {
		g.rim = between(r, 0.02, 0.16)
	}
	if r.Float32() < 0.5 {
		g.ribs = rails{g.near * between(r, 0.2, 0.45), r.Float32(), g.near * between(r, 0.012, 0.032)}
		g.ribHeight, g.ribEdge = g.near*between(r, 0.02, 0.06), between(r, 0.003, 0.012)
	}
	if r.Float32() < 0.6 {
		g.flanges = rails{g.near * between(r, 0.4, 0.9), r.Float32(), g.near * between(r, 0.025, 0.05)}
	}
	g.bolts, g.boltRadius = g.near*between(r, 0.075, 0.15), g.near*between(r, 0.012, 0.022)
	if r.Float32() < 0.45 {
		g.pipes = rails{g.near * between(r, 0.2, 0.55), r.Float32(), g.near * between(r, 0.014, 0.034)}
		g.upright = r.Float32() < 0.35
		g.saddles = g.near * between(r, 0.2, 0.5)
	}
	if r.Float32() < 0.7 {
		g.seams = rails{g.near * between(r, 0.25, 0.7), r.Float32(), between(r, 0.008, 0.014)}
	}
	for range r.IntN(4) {
		a := 0.25 * r.NormFloat64()
		g.patches = append(g.patches, patch{
			x: r.Float32(), y: r.Float32(), width: between(r, 0.05, 0.17), height: between(r, 0.05, 0.2),
			sine: float32(math.Sin(a)), cosine: float32(math.Cos(a)), thick: between(r, 0.005, 0.014),
			tint: rgb{between(r, 0.7, 1.4), between(r, 0.7, 1.3), between(r, 0.7, 1.3)},
		})
	}
	if r.Float32() < 0.3 {
		g.drawHose(r)
	}
	g.material = newMaterial(r)
	return g
}

// drawHose lays a hanging hose across the shell.
func (g *geometry) drawHose(r *rand.Rand) {
	g.hoseRadius = g.near * between(r, 0.014, 0.028)
	x0, y0, x1, y1 := between(r, -0.2, 0.4), between(r, -0.2, 1), between(r, 0.6, 1.2), between(r, -0.2, 1)
	sag := between(r, 0.05, 0.4)
	for k := range 60 {
		t := float32(k) / 59
		g.hose = append(g.hose, position{lerp(x0, x1, t), lerp(y0, y1, t) + 4*sag*t*(1-t)})
	}
}

// at shapes one place of the crop.
func (g *geometry) at(x, y float32) point {
	dx, dy := x-0.5, y-0.5
	rx, v := 0.5+g.cosine*dx+g.sine*dy, 0.5-g.sine*dx+g.cosine*dy
	s := (rx - g.axis) / g.radius
	if abs(s) > 0.985 || v < g.rim {
		return point{height: -0.5, kind: backdrop}
	}
	u := g.radius * float32(math.Asin(float64(s)))
	p := point{kind: plate, thermal: 1}
	p.height = (sqrt(1-s*s) - 1) * g.radius * 0.8
	p.height += g.dent*(fractal(g.seed, 3*u, 3*v, 2)-0.5) + g.rough*(fractal(g.seed+1, 45*u, 45*v, 2)-0.5)
	p.albedo, p.gloss = g.material.at(u, v)
	g.addSeams(u, v, &p)
	for _, a := range g.patches {
		a.add(g, u-g.radius*float32(math.Asin(float64(clamp((a.x-g.axis)/g.radius, -1, 1)))), v-a.y, &p)
	}
	g.addRibs(u, v, &p)
	g.addPipes(u, v, &p)
	g.addHose(x, y, &p)
	return p
}

// addSeams lays weld beads, whose ripples are the weaver's strokes.
func (g *geometry) addSeams(u, v float32, p *point) {
	d, n := g.seams.off(v)
	wander := 0.006 * (noise(g.seed+7, 6*u, float32(n)) - 0.5)
	if d = abs(d + wander); d < g.seams.width {
		k := 1 - d/g.seams.width
		p.height += 0.008 * sqrt(k) * (0.8 + 0.2*sin(float64(u)*420))
		p.albedo = p.albedo.times(0.8)
		p.gloss *= 1.3
	}
}

func (a patch) add(g *geometry, u, v float32, p *point) {
	x, y := a.cosine*u+a.sine*v, -a.sine*u+a.cosine*v
	edge := max(abs(x)-a.width/2, abs(y)-a.height/2)
	switch {
	case edge < 0:
		p.height += a.thick
		p.albedo = p.albedo.by(a.tint)
		p.thermal *= 0.9
	case edge < 0.012:
		p.height += a.thick * (1.2 + 0.4*noise(g.seed+9, 90*u, 90*v)) * (1 - edge/0.012)
		p.albedo = p.albedo.times(0.7)
	}
}

// addRibs adds welded ribs, and flanges with their bolts.
func (g *geometry) addRibs(u, v float32, p *point) {
	if d, _ := g.ribs.off(u); d < g.ribs.width {
		p.height += g.ribHeight * min(1, (g.ribs.width-d)/g.ribEdge)
		p.thermal, p.kind = 0.5, fitting
	}
	d, n := g.flanges.off(v)
	if d >= g.flanges.width {
		return
	}
	p.thermal, p.kind = 0.4, fitting
	p.height += 0.03 * g.near * min(1, (g.flanges.width-d)/0.008)
	if d < 0.005 {
		p.height -= 0.02 * g.near
		p.albedo = p.albedo.times(0.5)
		return
	}
	row := g.flanges.width / 2
	across := d - row
	along := u/g.bolts + 0.5*float32(n&1)
	along = (along - floor(along) - 0.5) * g.bolts
	if away := sqrt(across*across + along*along); away < g.boltRadius {
		p.height += 0.022 * g.near * min(1, 2.5*(1-away/g.boltRadius))
		p.albedo = p.albedo.times(0.85)
		p.gloss *= 1.5
	}
}

// addPipes adds cooling pipes and the saddles that hold them.
func (g *geometry) addPipes(u, v float32, p *point) {
	across, along := v, u
	if g.upright {
		across, along = u, v
	}
	d, n := g.pipes.off(across)
	if d < g.pipes.width {
		k := d / g.pipes.width
		p.height += 0.01 + 1.8*g.pipes.width*sqrt(1-k*k)
		p.thermal, p.kind = 0.12, fitting
		p.albedo = g.material.pipe
		p.gloss = g.material.pipeGloss
	}
	if g.saddles > 0 && d < 1.7*g.pipes.width {
		s := along/g.saddles + 0.37*float32(n)
		if abs(s-floor(s)-0.5)*g.saddles < 0.014 {
			p.height += 0.012
			p.kind, p.thermal = fitting, 0.2
			p.albedo = p.albedo.times(0.7)
		}
	}
}

func (g *geometry) addHose(x, y float32, p *point) {
	nearest := float32(9)
	for _, q := range g.hose {
		nearest = min(nearest, (q.x-x)*(q.x-x)+(q.y-y)*(q.y-y))
	}
	if d := sqrt(nearest); d < g.hoseRadius {
		k := d / g.hoseRadius
		p.height += 0.03 + g.hoseRadius*sqrt(1-k*k)
		p.kind, p.thermal = fitting, 0.05
		p.albedo, p.gloss = rgb{0.05, 0.05, 0.05}, 0.25
	}
}
