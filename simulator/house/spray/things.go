package spray

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// things pass before the shell or lie on it: a cinder, sparks, a worker.
type things struct {
	emberRadius float32 // pixels
	stretch     float32 // of the cinder, across against along
	sparkColor  rgb
	sparks      float64 // in a full shower
	fall        float32 // pixels a spark falls while the shutter is open
	width       float32 // of a worker, in pixels
	top         float32 // of the worker's helmet, in pixels from the crop's top
	cloth       rgb
	helmet      rgb
	stripe      float32 // brightness of the reflecting stripe
	body        plane
}

func newThings(r *rand.Rand) things {
	t := things{
		emberRadius: uniform(r, 1.2, 3), stretch: uniform(r, 0.7, 1.4),
		sparkColor: rgb{6, uniform(r, 3.4, 4.6), uniform(r, 1.2, 2.2)}, sparks: float64(uniform(r, 15, 45)),
		fall: uniform(r, 2, 9), width: uniform(r, 9, 16), top: uniform(r, 2, 26), stripe: uniform(r, 0, 0.6),
	}
	dark := uniform(r, 0.02, 0.1)
	t.cloth = rgb{dark, dark * uniform(r, 0.9, 1.1), dark * uniform(r, 0.9, 1.6)}
	helmets := []rgb{{0.6, 0.45, 0.05}, {0.6, 0.6, 0.6}, {0.5, 0.08, 0.05}, {0.08, 0.15, 0.45}}
	t.helmet = helmets[r.IntN(len(helmets))]
	return t
}

// paintEmber draws a cinder, whose temperature falls as its level does.
func (t *things) paintEmber(image *picture, v house.View) {
	if v.Ember <= 0 {
		return
	}
	level := float32(v.Ember)
	color := rgb{2.4 * level, 1.5 * level * level, 0.9 * level * level * level}
	cx, cy := float32(v.EmberX)*side, float32(v.EmberY)*side
	reach := int(3*t.emberRadius) + 1
	for y := max(int(cy)-reach, 0); y <= min(int(cy)+reach, side-1); y++ {
		for x := max(int(cx)-reach, 0); x <= min(int(cx)+reach, side-1); x++ {
			dx, dy := (float32(x)+0.5-cx)*t.stretch, (float32(y)+0.5-cy)/t.stretch
			shape := exp(-(dx*dx + dy*dy) / (t.emberRadius * t.emberRadius))
			for k := range color {
				image[y*side+x][k] += color[k] * shape
			}
		}
	}
}

// paintSparks draws a shower as short falling lines.
func (t *things) paintSparks(image *picture, v house.View, r *rand.Rand) {
	if v.Sparks <= 0 {
		return
	}
	for range int(t.sparks*v.Sparks + r.Float64()) {
		x, y := r.Float32()*side, r.Float32()*side
		slope, length := 0.4*float32(r.NormFloat64()), t.fall*uniform(r, 0.4, 1.3)
		bright := uniform(r, 0.1, 1)
		for step := float32(0); step < length; step++ {
			px, py := int(x+slope*step), int(y+step)
			if px < 0 || px >= side || py < 0 || py >= side {
				break
			}
			for k := range t.sparkColor {
				image[py*side+px][k] += t.sparkColor[k] * bright * (1 - step/length)
			}
		}
	}
}

// paintPasser draws a worker and returns where the worker stands, nil without one.
func (t *things) paintPasser(image *picture, v house.View, l *light) *plane {
	if !v.Passes {
		return nil
	}
	t.body = plane{}
	middle := float32(v.Passer) * side
	swing := float32(math.Sin(v.Time * 6))
	for y := int(t.top); y < side; y++ {
		down := float32(y) - t.top
		color, half, shift := t.cloth, t.width/2, float32(0)
		switch {
		case down < 0.35*t.width:
			// A helmet is a half-ellipse.
			q := 1 - down/(0.35*t.width)
			color, half = t.helmet, 0.3*t.width*float32(math.Sqrt(float64(1-q*q)))
		case down < 0.75*t.width:
			color, half = rgb{0.25, 0.16, 0.12}, 0.22*t.width
		case down > 2.6*t.width: // legs
			shift = swing * 0.08 * (down - 2.6*t.width)
			half *= 0.8
		case down > 1.3*t.width && down < 1.5*t.width:
			color = rgb{t.stripe, t.stripe, 0.6 * t.stripe}
		}
		for x := max(int(middle+shift-half-1), 0); x <= min(int(middle+shift+half+1), side-1); x++ {
			d := (float32(x) + 0.5 - middle - shift) / half
			cover := clamp((half - abs(d)*half) + 0.5)
			if cover == 0 {
				continue
			}
			i := y*side + x
			t.body[i] = cover
			for k := range color {
				lit := color[k] * (0.6*l.lamp[k]*(1-0.4*d) + l.sky[k] + 0.15*l.flame[k])
				image[i][k] += (lit - image[i][k]) * cover
			}
		}
	}
	return &t.body
}

func abs(x float32) float32 { return max(x, -x) }
