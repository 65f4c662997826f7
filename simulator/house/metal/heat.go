package metal

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"meltwatch/simulator/house"
)

// spot is heat behind the plate.
type spot struct {
	now      house.Spot
	order    [wide * wide]float32 // share of the crop that is hotter than a place
	strength float32              // radiance fully grown, against scale
	grade    float64              // exponent of the growth of heat
	tint     rgb                  // the camera's answer to the near infrared
	full     float64              // area fully grown, share of the crop
	area     float32
	heat     float32
	scale    float32 // radiance of the metal about it
}

// follow takes up a new spot, and the growth of the present one.
func (s *spot) follow(c *camera, now house.Spot) {
	if now.Episode > 0 && (now.Seed != s.now.Seed || now.Episode != s.now.Episode) {
		s.place(c, now)
		s.now = now
	}
	s.area = float32(0.0005 + (s.full-0.0005)*math.Pow(now.Growth, 1.2))
	s.heat = float32(0.25 + 0.75*math.Pow(now.Growth, s.grade))
}

// place ranks the places of the shell by a warped distance from one to three centres.
func (s *spot) place(c *camera, now house.Spot) {
	r := rand.New(rand.NewPCG(now.Seed^c.seed*0x9e3779b97f4a7c15, stream))
	s.full = between(r, 0.015, 0.05)
	x, y, bare := 0.0, 0.0, 0
	for try := 50; bare < try; try-- { // mostly on bare shell that is not seen edge on
		x, y, bare = between(r, 0.1, 0.9)*side+margin, between(r, 0.1, 0.9)*side+margin, 0
		for i := range 49 {
			place := (int(y)+2*(i/7-3))*wide + int(x) + 2*(i%7-3)
			if p := &c.points[place]; p.metal && p.facing > 6 && p.facing < facings-6 {
				bare++
			}
		}
	}
	// A spot is told from the metal about it, which may lie in a highlight.
	s.scale = 0.5*c.typical + 0.5*c.shade(&c.points[int(y)*wide+int(x)], c.fireTop, c.fireLow).mean()
	centres := make([][3]float64, 1+r.IntN(3))
	for i := range centres {
		centres[i] = [3]float64{x + 4*float64(i)*r.NormFloat64(), y + 4*float64(i)*r.NormFloat64(), between(r, 0.6, 1.7)}
	}
	torn, phase := between(r, 4, 12), between(r, 0, weave)
	index, distance := make([]int, wide*wide), make([]float64, wide*wide)
	for i := range index {
		px, py, least := float64(i%wide), float64(i/wide), math.Inf(1)
		for k, e := range centres {
			least = min(least, math.Hypot((px-e[0])*e[2], (py-e[1])/e[2])/(1-0.25*float64(k)))
		}
		index[i], distance[i] = i, least+torn*float64(c.noise(2*px+phase, 2*py)-0.5)
	}
	slices.SortFunc(index, func(a, b int) int { return cmp.Compare(distance[a], distance[b]) })
	for rank, i := range index {
		s.order[i] = float32(rank) / (side * side)
	}
}

// at returns the spot's radiance at a place, and whether it can be seen there.
func (s *spot) at(c *camera, place int, now house.Spot) (rgb, bool) {
	if now.Episode == 0 || now.Growth <= 0 || s.order[place] >= 1.6*s.area {
		return rgb{}, false
	}
	open := float32(1)
	if now.Cover > 0 { // crust and spray cover in patches
		patch := 0.05 + 0.85*c.noise(3*float64(place%wide), 3*float64(place/wide))
		open = min(max((patch-float32(now.Cover))*12, 0), 1)
	}
	depth := 1 - s.order[place]/s.area
	if depth < 0 { // warm plate about the spot
		return s.glow(0.3*s.heat, 0.12*s.scale*open*(1+depth/0.6)), false
	}
	return s.glow(s.heat*(0.5+0.5*float32(math.Sqrt(float64(depth)))), s.scale*open), open > 0.5
}

// glow is the radiance of hot plate, from dull red at no heat to white at 1.
func (s *spot) glow(h, scale float32) rgb {
	return rgb{1, 0.08 + 0.75*h*h, 0.01 + 0.6*h*h*h*h}.by(s.tint).times(s.strength * scale * (0.15 + 0.85*h*h))
}

// cinder is a bit of charge that glows on the shell.
func (c *camera) cinder(v house.View, x, y float64) rgb {
	dx, dy := x-v.EmberX*side, y-v.EmberY*side
	d := math.Hypot(dx, dy)
	if d > 4 || d > 1.2+3*float64(c.noise(9*dx+90*v.EmberX, 9*dy+90*v.EmberY)) {
		return rgb{}
	}
	return c.spot.glow(float32((0.4+0.6*v.Ember)*(1-0.12*d)), c.typical*float32(v.Ember))
}

// passer is a worker between camera and shell: legs, trunk with a bright band, helmet.
func (c *camera) passer(v house.View, x, y float64) (rgb, bool) {
	dx, up := (x-v.Passer)/c.tall, (1.05-y)/c.tall // from the middle, from the ground
	step, tint := 0.09*math.Sin(5*v.Time)*(1-up/0.42), c.suit
	switch {
	case up < 0.42 && min(math.Abs(dx-step), math.Abs(dx+step)) < 0.045:
	case up >= 0.42 && up < 0.76 && math.Abs(dx) < 0.1+0.03*up:
		if up > 0.58 && up < 0.62 {
			tint = rgb{0.9, 0.95, 0.6}
		}
	case up >= 0.76 && math.Hypot(dx, up-0.84) < 0.075:
		tint = c.suit.mix(rgb{0.8, 0.7, 0.5}, 0.6)
	default:
		return rgb{}, false
	}
	return tint.by(c.diffuse[facings/2].plus(c.fire.times(0.2 * c.fireTop))).times(float32(1 + 4*dx)), true
}
