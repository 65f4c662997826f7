package pinhole

import "math"

// vec is a point or a direction, or a colour as red, green and blue. The shell's axis is y,
// upwards from the floor at 0; the camera looks along −z.
type vec struct{ x, y, z float64 }

func (a vec) add(b vec) vec            { return vec{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec) sub(b vec) vec            { return vec{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec) scale(s float64) vec      { return vec{a.x * s, a.y * s, a.z * s} }
func (a vec) times(b vec) vec          { return vec{a.x * b.x, a.y * b.y, a.z * b.z} }
func (a vec) dot(b vec) float64        { return a.x*b.x + a.y*b.y + a.z*b.z }
func (a vec) unit() vec                { return a.scale(1 / math.Sqrt(a.dot(a)+1e-12)) }
func (a vec) mix(b vec, s float64) vec { return a.add(b.sub(a).scale(s)) }
func (a vec) luma() float64            { return 0.3*a.x + 0.59*a.y + 0.11*a.z }
func (a vec) cross(b vec) vec          { return vec{a.y*b.z - a.z*b.y, a.z*b.x - a.x*b.z, a.x*b.y - a.y*b.x} }

// dim holds a light below a level, without a change of colour.
func (a vec) dim(top float64) vec { return a.scale(min(1, top/(a.luma()+1e-9))) }

var upward, white = vec{0, 1, 0}, vec{1, 1, 1}

// What a ray may meet; metal is a flange or the rim.
const wall, floor, window, shell, metal, mouth, block = 0, 1, 2, 3, 4, 5, 6

// hit is where a ray ends: how far away, the place, the outward normal, and the share of
// light that a block sends back.
type hit struct {
	what     int
	far      float64
	at, face vec
	shade    float64
}

// band is the cone's side between two heights, or a ring that stands out from it.
type band struct{ low, high, out float64 }

// box is a part of the hall: platform, deck, post, pipe, band of windows.
type box struct {
	low, high vec
	shade     float64
}

// world is the hall of one melt, and the camera's pose in it.
type world struct {
	radius, taper, height, back, pane float64 // radius at the floor, its loss a metre; z of the wall
	bands                             []band  // the first is the shell, the second its rim
	boxes                             []box   // the first is the band of windows
	eye, right, up, ahead             vec
	focal                             float64 // crop sides
}

func newWorld(r dice) world {
	w := world{radius: r.in(1, 1.6), height: r.in(1.9, 3.2), back: -r.in(2.5, 9), pane: r.in(0.5, 1.6)}
	w.taper = r.in(-0.02, 0.12) * w.radius / w.height
	w.bands = []band{{0, w.height, 0}, {w.height - r.in(0.04, 0.12), w.height, r.in(0.01, 0.12)}}
	for range r.IntN(5) {
		y := r.in(0.1, w.height-0.1)
		w.bands = append(w.bands, band{y, y + r.in(0.03, 0.1), r.in(0.02, 0.09)})
	}
	add := func(x, y, z, wide, tall, deep, shade float64) {
		w.boxes = append(w.boxes, box{vec{x, y, z}, vec{x + wide, y + tall, z + deep}, shade})
	}
	add(r.in(-8, 2), r.in(0.8, 4), w.back, r.in(1, 9), r.in(0.5, 2.5), 0.02, 1)
	if r.Float64() < 0.5 { // the platform around the mouth
		add(-30, r.in(0.72, 0.98)*w.height, w.back, 60, r.in(0.06, 0.2), r.in(-0.6, 1.1)*w.radius-w.back, r.in(0.1, 0.4))
	}
	if r.Float64() < 0.45 { // a trolley's deck before the lower rim
		add(-30, 0, w.radius*r.in(1.05, 1.5), 60, r.in(0.08, 0.4), 0.3, r.in(0.08, 0.4))
	}
	for range r.IntN(4) { // posts, pipes and hoses before or beside the shell
		add(r.in(-1.5, 1.5)*w.radius, r.in(0, 0.6)*w.height, w.radius*r.in(1.02, 1.4), r.in(0.02, 0.09), r.in(0.3, 2.5), 0.06, r.in(0.05, 0.6))
	}
	w.eye = vec{r.in(-1.5, 1.5), r.in(0.4, 5), r.in(3.2, 8)}
	w.ahead = vec{r.in(-0.35, 0.35) * w.radius, r.in(0.28, 0.8) * w.height, 0}.sub(w.eye).unit()
	w.right = w.ahead.cross(vec{r.in(-0.07, 0.07), 1, 0}).unit()
	w.up, w.focal = w.right.cross(w.ahead), (w.eye.z-0.5*w.radius)/(w.radius*r.in(1.3, 2.9))
	return w
}

// ray is the direction through a place in the crop, in pixels.
func (w *world) ray(x, y float64) vec {
	return w.ahead.add(w.right.scale((x/side - 0.5) / w.focal)).add(w.up.scale((0.5 - y/side) / w.focal)).unit()
}

// project is the place in the crop, in pixels, of a point before the camera.
func (w *world) project(p vec) (x, y float64) {
	d := p.sub(w.eye)
	scale := side * w.focal / max(d.dot(w.ahead), 0.1)
	return side/2 + scale*d.dot(w.right), side/2 - scale*d.dot(w.up)
}

// place is a point of the shell in surface coordinates: around and up.
func (w *world) place(p vec) (u, v float64) { return w.radius * math.Atan2(p.z, p.x), p.y }

// cone is how far a ray goes to a band's side, or −1.
func (w *world) cone(o, d vec, b band) float64 {
	r := w.radius + b.out - w.taper*o.y
	k := d.x*d.x + d.z*d.z - w.taper*w.taper*d.y*d.y
	m := o.x*d.x + o.z*d.z + w.taper*d.y*r
	root := math.Sqrt(m*m - k*(o.x*o.x+o.z*o.z-r*r)) // NaN when it misses
	for _, t := range [2]float64{(-m - root) / k, (-m + root) / k} {
		if y := o.y + t*d.y; t > 1e-3 && y >= b.low && y <= b.high {
			return t
		}
	}
	return -1
}

// trace is what a ray from the eye meets first.
func (w *world) trace(d vec) hit {
	h := hit{far: 60, face: d.scale(-1)}
	meet := func(t float64, what int, face vec, shade float64) {
		if t > 1e-3 && t < h.far {
			h = hit{what, t, w.eye.add(d.scale(t)), face, shade}
		}
	}
	meet(-w.eye.y/d.y, floor, upward, 1)
	meet((w.back-w.eye.z)/d.z, wall, vec{0, 0, 1}, 1)
	for n, b := range w.bands {
		t := w.cone(w.eye, d, b)
		p := w.eye.add(d.scale(t))
		meet(t, shell+min(n, 1), vec{p.x, w.taper * w.radius, p.z}.unit(), 1)
		t = (b.high - w.eye.y) / d.y // the upper face: of the shell, within the rim, the mouth
		p = w.eye.add(d.scale(t))
		if out := math.Hypot(p.x, p.z) - w.radius + w.taper*b.high; out < b.out && n < 2 && out < -0.12 {
			meet(t, mouth, upward, 1)
		} else if out < b.out {
			meet(t, metal, upward.scale(math.Copysign(1, -d.y)), 1)
		}
	}
	o := [3]float64{w.eye.x, w.eye.y, w.eye.z}
	for n, b := range w.boxes {
		near, far, face := 0.0, h.far, upward
		low, high := [3]float64{b.low.x, b.low.y, b.low.z}, [3]float64{b.high.x, b.high.y, b.high.z}
		for axis, step := range [3]float64{d.x, d.y, d.z} { // what lies between two sides, three times
			t0, t1 := (low[axis]-o[axis])/step, (high[axis]-o[axis])/step
			if t := min(t0, t1); t > near {
				near, face = t, [3]vec{{1, 0, 0}, upward, {0, 0, 1}}[axis].scale(math.Copysign(1, -step))
			}
			far = min(far, max(t0, t1))
		}
		if what := block; near < far {
			if n == 0 {
				what = window
			}
			meet(near, what, face, b.shade)
		}
	}
	return h
}
