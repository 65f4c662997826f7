package metal

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

const (
	side    = house.Side
	margin  = 2 // pixels drawn beyond the crop on each side, so that it can shake
	wide    = side + 2*margin
	facings = 128 // steps of the direction across the curve
	weave   = 128 // side of the texture, which repeats
)

type rgb struct{ r, g, b float32 }

func (c rgb) times(k float32) rgb      { return rgb{c.r * k, c.g * k, c.b * k} }
func (c rgb) plus(d rgb) rgb           { return rgb{c.r + d.r, c.g + d.g, c.b + d.b} }
func (c rgb) by(d rgb) rgb             { return rgb{c.r * d.r, c.g * d.g, c.b * d.b} }
func (c rgb) mix(d rgb, k float32) rgb { return c.times(1 - k).plus(d.times(k)) }
func (c rgb) power(k float64) rgb {
	return rgb{float32(math.Pow(float64(c.r), k)), float32(math.Pow(float64(c.g), k)), float32(math.Pow(float64(c.b), k))}
}
func (c rgb) mean() float32 { return (c.r + c.g + c.b) / 3 }

// point is what does not change at one place of the scene.
type point struct {
	body         rgb     // share of diffuse light that it returns
	gloss        float32 // share of the highlight that it returns
	facing       int     // direction across the curve
	above, below float32 // share of the fire's light from the mouth and from the floor
	day, lamp    rgb     // windows and lamps, and their fixed reflections on the metal
	open         float32 // height above the rim, where flame may stand; 0 elsewhere
	metal        bool    // bare shell: where a hot spot can be seen
}

// scene is the still part of one melt's picture.
type scene struct {
	points  [wide * wide]point
	wave    [weave]float32         // one period
	texture [weave * weave]float32 // smooth noise, 0–1
}

// thing is anything with an outline: a pane, lamp, reflection, clamp or hose.
type thing struct {
	count        int // at most
	low, high    float64
	slim         float64 // height against width, at most
	square, tube bool
	soft, torn   float64 // of the outline
	behind       bool    // the shell hides it
	metal        bool    // only to be seen on the shell
	bright       float64 // radiance at most; 0 for a body that hides the shell
}

// things lists them from back to front; sizes are half widths in shares of the crop.
var things = []thing{
	{count: 3, low: 0.03, high: 0.13, slim: 2, square: true, behind: true, bright: 5},       // window
	{count: 3, low: 0.015, high: 0.05, slim: 1, soft: 1, behind: true, bright: 10},          // lamp
	{count: 3, low: 0.012, high: 0.06, slim: 3, soft: 1, torn: 1.6, metal: true, bright: 2}, // reflection
	{count: 2, low: 0.03, high: 0.11, slim: 1.2, square: true},                              // clamp or door
	{count: 3, low: 0.008, high: 0.025, tube: true},                                         // hose
}

func build(r *rand.Rand) *scene {
	s := &scene{}
	for i := range s.wave {
		s.wave[i] = float32(math.Cos(2 * math.Pi * float64(i) / weave))
	}
	s.weave(r)
	s.shell(r)
	for _, t := range things {
		for range r.IntN(t.count + 1) {
			s.paint(r, t)
		}
	}
	return s
}

// weave makes the texture from waves that fit it, the long ones strongest.
func (s *scene) weave(r *rand.Rand) {
	for n := range 48 {
		fx, fy, phase := r.IntN(2*n/3+5)-n/3-2, r.IntN(2*n/3+5)-n/3-2, r.IntN(weave)
		high := float32(0.33 / math.Sqrt(6+float64(fx*fx+fy*fy)))
		for i := range s.texture {
			s.texture[i] += high * s.wave[(fx*(i%weave)+fy*(i/weave)+phase)&(weave-1)]
		}
	}
	for i, t := range s.texture {
		s.texture[i] = min(max(0.5+t, 0), 1)
	}
}

// noise reads the texture at a place in texture pixels.
func (s *scene) noise(x, y float64) float32 {
	return s.texture[(int(y+1<<20)&(weave-1))*weave+int(x+1<<20)&(weave-1)]
}

// each calls draw for every point with its place, shares of the crop from its middle.
func (s *scene) each(draw func(x, y float64, p *point)) {
	for i := range s.points {
		draw((float64(i%wide-margin)+0.5)/side-0.5, (float64(i/wide-margin)+0.5)/side-0.5, &s.points[i])
	}
}

// shell paints the cylinder with ribs, dents, plates, stains and soot, the opening above
// it, the floor below and the wall behind.
func (s *scene) shell(r *rand.Rand) {
	half, taper, bend := between(r, 0.38, 1), between(r, -0.2, 0.2), between(r, -0.12, 0.22)
	centre := between(r, -0.7, 0.7) * max(0.12, half-0.35)
	rim, foot := -between(r, 0.55, 1), between(r, 0.55, 1.1) // both out of sight
	if way := r.IntN(5); way < 2 {
		rim = between(r, -0.42, -0.15)
	} else if way < 4 {
		foot = between(r, 0.2, 0.42)
	}
	sin, cos := math.Sincos(0.13 * r.NormFloat64())
	steel, stain, wall, floor := grey(r, 0.12, 0.6, 0.08), grey(r, 0.5, 0.8, 0.1), grey(r, 0.03, 0.4, 0.15), grey(r, 0.08, 0.4, 0.15)
	gloss, dents, reach, sooty := between(r, 0.25, 1.3), between(r, 0.02, 0.22), between(r, 0.12, 0.5), between(r, 0, 0.6)
	limed, rusty := float32(between(r, 0.5, 0.9)), float32(between(r, 0.45, 1.2))
	rings, posts, girder, ribbed, shift := between(r, 0.17, 0.6), between(r, 0.25, 0.9), between(r, 0.08, 0.3), r.IntN(4), r.Float64()
	s.each(func(x, y float64, p *point) {
		x, y = x*cos+y*sin, y*cos-x*sin
		u := (x - centre) / (half * (1 + taper*y))
		depth := math.Sqrt(max(0, 1-u*u))
		v := y - bend*depth // height along the shell
		pillar := float32(math.Mod(x+5, girder) / girder)
		*p = point{body: wall.times(pillar * (0.5 + s.noise(40*x+7, 40*y+3))), facing: facings / 2, above: 0.25, below: 0.25}
		switch {
		case depth > 0 && v < rim: // the mouth, and what is seen across it
			p.open = float32(rim - v)
			return
		case v > foot:
			*p = point{body: floor.times(0.4 + 0.8*s.noise(90*x, 50*y)), facing: facings / 2, below: float32(1.2 * math.Exp((foot-v)/reach))}
			return
		case depth == 0:
			return
		}
		angle := math.Asin(u)
		turn := u + dents*float64(s.noise(30*angle+50, 30*v+20)-0.5)
		body, shine := steel.times(0.75+0.5*s.noise(75*angle+11, 75*v)), float32(gloss)*(0.4+0.9*s.noise(64*angle, 8*v+40))
		lime, rust := ease(min(max(6*(s.noise(90*angle+90, 9*v+64)-limed), 0), 1)), ease(min(max(6*(s.noise(50*angle+33, 50*v+77)-rusty), 0), 1))
		body, shine = body.mix(stain, lime).mix(rgb{0.35, 0.17, 0.09}, rust), shine*(1-max(lime, rust))
		body = body.times(float32((1 - sooty*math.Exp(-(v-rim)/0.3)) * min(1, 0.5+4*(1-math.Abs(u)))))
		if at := math.Mod(v+shift+9, rings); ribbed&1 == 1 && at < 0.06 { // a ring: lit edge, then shadow
			body, shine = body.times(float32(1.7-22*at)), shine*float32(1.5-22*at)
		}
		if at := math.Mod(angle+shift+9, posts); ribbed&2 == 2 && at < 0.12 { // a post: its flanks face aside
			turn += 0.5 * (at/0.06 - 1)
		}
		*p = point{body: body, gloss: shine, metal: true, facing: int(min(max((turn+1)/2*facings, 0), facings-1)),
			above: float32(depth * math.Exp(-(v-rim)/reach)), below: float32(depth * math.Exp(-(foot-v)/reach))}
	})
}

// paint draws one thing. A reflection is a lamp's or window's fixed image on the metal,
// torn by its dents: the spot's look-alike.
func (s *scene) paint(r *rand.Rand, t thing) {
	cx, cy, w := between(r, -0.48, 0.48), between(r, -0.48, 0.48), level(r, t.low, t.high)
	h, torn, lean, sag := w*between(r, 0.7, max(0.7, t.slim)), t.torn*r.Float64(), between(r, -0.8, 0.8), between(r, -1.5, 1.5)
	body, light, day := grey(r, 0.02, 0.5, 0.5), warmth(r).times(float32(level(r, t.bright/8+1e-9, t.bright+1e-9))), t.square || r.IntN(3) == 0
	s.each(func(x, y float64, p *point) {
		dx, dy := (x-cx)/w, (y-cy)/h
		d := math.Hypot(dx, dy) + torn*float64(s.noise(150*x+5, 150*y+9)-0.5)
		if t.square {
			d = max(math.Abs(dx), math.Abs(dy))
		}
		if t.tube {
			dx = (x - cx - lean*y - sag*y*y) / w
			d = math.Abs(dx) / math.Hypot(1, lean+2*sag*y)
		}
		image := light
		if t.soft > 0 {
			image = light.times(float32(math.Exp(-d * d * max(d, 0.3))))
		}
		switch {
		case d > 1+1.2*t.soft, t.behind && (p.metal || p.below > 0.3), t.metal && !p.metal:
		case t.bright > 0 && day:
			p.day = p.day.plus(image)
		case t.bright > 0:
			p.lamp = p.lamp.plus(image)
		default:
			*p = point{body: body.times(float32(1 - 0.6*dx)), gloss: 0.1, facing: p.facing, above: 0.5 * p.above, below: 0.5 * p.below}
			if t.square && d > 0.8 {
				p.body = body.times(float32(0.9 - 0.6*dy)) // its edge
			}
		}
	})
}

// grey draws a nearly neutral tint with a mean in [low, high].
func grey(r *rand.Rand, low, high, colour float64) rgb {
	k, c := level(r, low, high), colour*between(r, -1, 1)
	return rgb{float32(k * (1 + c)), float32(k * (1 + 0.4*colour*between(r, -1, 1))), float32(k * (1 - c))}
}

// warmth draws a light's colour: sodium, tungsten, tube or sky.
func warmth(r *rand.Rand) rgb {
	return []rgb{{1, 0.55, 0.15}, {1, 0.8, 0.5}, {0.95, 1, 0.95}, {0.75, 0.95, 1.15}}[r.IntN(4)]
}

func ease(x float32) float32                          { return x * x * (3 - 2*x) }
func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

// level draws from [low, high] evenly in the logarithm.
func level(r *rand.Rand, low, high float64) float64 { return low * math.Pow(high/low, r.Float64()) }
