package analogue

import (
	"math"

	"meltwatch/simulator/house"
)

// noiseSide is the side of the moving textures in pixels, a power of two.
const noiseSide = 128

// air is what moves between the shell and the window.
type air struct {
	clouds, dust, tongues []float32
	wind                  [2][2]float64 // pixels per second of two layers of mist
}

func (a *air) build(r dice) {
	a.clouds = r.texture(noiseSide, 5, 4, 4)
	a.dust = r.texture(noiseSide, 7, 6, 3)
	a.tongues = r.texture(noiseSide, 20, 5, 3)
	for i := range a.wind {
		a.wind[i] = [2]float64{float64(r.normal(9)), float64(-r.between(4, 25))}
	}
}

// whole is a moving offset into a texture.
func whole(speed, t float64) int { return int(math.Floor(speed*t)) & (noiseSide - 1) }

// addFlame draws the flame above the mouth where the crop holds it. Tongues rise with the
// arcs' turbulence.
func (c *camera) addFlame() {
	rows := int(c.mouth * side)
	if rows <= 0 || c.lights.flame <= 0.01 {
		return
	}
	// The flame is hundreds of times as bright as the wall that it lights.
	body := c.fireColour.times(c.fire * 2.5)
	height := c.mouth * (0.25 + 0.6*c.lights.flame)
	for y := range rows {
		up := (c.mouth - float32(y)/side) / height
		line := ((y + c.lights.scroll) & (noiseSide - 1)) * noiseSide
		for x := range side {
			f := step(0, 0.5, 1.1*c.air.tongues[line+x]+0.4-0.7*up)
			for b := range 3 {
				c.light[y*side+x][b] += f * body[b]
			}
		}
	}
}

// haze mixes a bright veil of density 0–1 over the picture, thickest where two layers of
// a texture meet.
func (c *camera) haze(texture []float32, density float32, t float64, veil colour) {
	ax, ay := whole(c.air.wind[0][0], t), whole(c.air.wind[0][1], t)
	bx, by := whole(c.air.wind[1][0], t), whole(c.air.wind[1][1], t)
	thick, floor := 0.4+2.1*density, 1.2-0.65*density
	for y := range side {
		first := texture[((y-ay)&(noiseSide-1))*noiseSide:][:noiseSide]
		second := texture[((y-by)&(noiseSide-1))*noiseSide:][:noiseSide]
		for x := range side {
			f := (first[(x-ax)&(noiseSide-1)] + second[(x-bx)&(noiseSide-1)] - floor) * thick
			if f <= 0 {
				continue
			}
			f = min(f, 0.95)
			i := y*side + x
			l := &c.light[i]
			l[0] += f * (veil[0] - l[0])
			l[1] += f * (veil[1] - l[1])
			l[2] += f * (veil[2] - l[2])
			c.through[i] *= 1 - f
		}
	}
}

// veil is the radiance of a white cloud, lit by hall and flame.
func (c *camera) veil(albedo colour) (v colour) {
	for b := range 3 {
		lux := 0.8*c.hall*c.hallColour[b] + 0.4*c.fire*c.fireColour[b]*c.lights.flame
		v[b] = albedo[b] * lux / math.Pi
	}
	return v
}

// addDust raises brown dust while charge is fed.
func (c *camera) addDust(v house.View) {
	if v.Feeding {
		c.haze(c.air.dust, 0.4, v.Time, c.veil(colour{0.4, 0.35, 0.3}))
	}
}

func (c *camera) addMist(v house.View) {
	if v.Mist > 0 {
		c.haze(c.air.clouds, float32(v.Mist), v.Time, c.veil(colour{0.75, 0.75, 0.75}))
	}
}

// addPasser draws a worker: head, trunk and, in some melts, a bright vest. The two fields
// of a frame are 20 ms apart, so one who walks is combed.
func (c *camera) addPasser(v house.View, elapsed float64) {
	if !v.Passes {
		return
	}
	comb := float32(0)
	if elapsed > 0 && c.signal.interlaced {
		comb = max(-1, min(1, float32((v.Passer-c.last.passer)/elapsed*0.02*side)))
	}
	wide := c.tallness * 0.2 * side
	head, top := 0.09*c.tallness*side, side*(1-c.tallness)
	cloth, vest := c.veil(colour{0.05, 0.05, 0.06}), c.veil(colour{c.vest, c.vest * 0.8, c.vest * 0.3})
	for y := max(0, int(top)); y < side; y++ {
		centre := float32(v.Passer)*side + comb*float32(y&1)
		down := float32(y) - top
		half := wide
		if down < 2*head {
			half = sqrt(max(0, head*head-(down-head)*(down-head)))
		}
		coat := cloth
		if down > 2.5*head && down < 6*head {
			coat = vest
		}
		for x := clamp(int(centre - half)); x < side && float32(x) < centre+half; x++ {
			c.light[y*side+x], c.through[y*side+x] = coat, 0
		}
	}
}

// addSparks throws short bright streaks from above.
func (c *camera) addSparks(v house.View) {
	for range int(v.Sparks * 14 * c.random.Float64() * 2) {
		x, y := c.random.between(0, side), c.random.between(0, side)
		slope, bright := c.random.normal(0.7), c.lit.luma()*c.random.decades(3, 80)
		for k := range 1 + c.random.IntN(5) {
			px, py := int(x+slope*float32(k)), int(y)+k
			if px < 0 || px >= side || py >= side {
				break
			}
			l := &c.light[py*side+px]
			l[0], l[1], l[2] = l[0]+bright, l[1]+0.7*bright, l[2]+0.35*bright
		}
	}
}
