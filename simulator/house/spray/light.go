package spray

import (
	"math"
	"math/rand/v2"

	"meltwatch/simulator/house"
)

// The glow table covers metal from coolest on, by degreeStep a row, in °C.
const (
	coolest    = 450
	degreeStep = 4
	glowRows   = 320
)

// light is the hall's lamp, the flame at the furnace's mouth and the glow of hot metal.
type light struct {
	lamp, sky, flame    rgb
	lampX, lampY, lampZ float32 // place, in crop sides from the shell's top left
	flameX              float32
	height              float32 // of the flame's tongues at usual turbulence, in crop sides
	level               float32 // of the flame, 1 usual
	lag                 float64 // seconds from the current to the flame
	mains               float32 // depth of the lamp's flicker
	flicker             float32 // of the flame, now
	lampNow             float32
	tongues             plane
	rise                float32 // how far the tongues have risen, in pixels
	glow                [glowRows]rgb
	wall                float32 // how dull the glow of an overheated shell is
}

func newLight(r *rand.Rand) light {
	l := light{
		lampX: uniform(r, -0.4, 1.4), lampY: uniform(r, -0.9, 0.5), lampZ: uniform(r, 0.7, 1.8),
		flameX: uniform(r, 0.2, 0.8), height: uniform(r, 0, 0.1), level: 1,
		lag: float64(uniform(r, 0.2, 1)), mains: uniform(r, 0, 0.05),
		tongues: layered(r, [2]int{8, 16}, [2]int{4, 8}), wall: uniform(r, 0.4, 0.9),
	}
	lamps := []rgb{{1, 0.72, 0.4}, {0.9, 1, 1.05}, {1, 0.93, 0.82}, {0.8, 0.95, 1.25}} // sodium, mercury, LED, daylight
	l.lamp = scaled(lamps[r.IntN(len(lamps))], uniform(r, 0.4, 1.2))
	l.sky = scaled(lamps[1+r.IntN(len(lamps)-1)], uniform(r, 0.05, 0.35))
	l.flame = scaled(rgb{1, uniform(r, 0.5, 0.68), uniform(r, 0.2, 0.38)}, uniform(r, 0.15, 0.8))
	l.heatMetal(r)
	return l
}

// heatMetal fills the glow table by Planck's law at three wavelengths. A camera's filter
// passes some near-infrared light, which reaches all channels alike and whitens the glow.
func (l *light) heatMetal(r *rand.Rand) {
	const second = 14388 // µm·K, the second radiation constant
	waves := [3]float64{0.61, 0.54, 0.465}
	infrared := float64(uniform(r, 0.0003, 0.001))
	bright := float64(uniform(r, 0.4, 0.75))
	knee := float64(uniform(r, 0.5, 0.6))
	radiance := func(wave, kelvin float64) float64 {
		// The white balance takes daylight as white; 1,073 K gives red a radiance of 1.
		return math.Exp(-second/wave*(1/kelvin-1/5500.0)) / math.Exp(-second/waves[0]*(1/1073.0-1/5500.0))
	}
	for row := range l.glow {
		kelvin := float64(coolest+degreeStep*row) + 273
		// A camera of wide dynamic range compresses bright light, all channels alike.
		scale := bright * math.Pow(radiance(waves[0], kelvin), knee-1)
		for c, wave := range waves {
			l.glow[row][c] = float32(scale * (radiance(wave, kelvin) + infrared*radiance(0.8, kelvin)))
		}
	}
}

// metal is the glow of metal at a temperature in °C.
func (l *light) metal(celsius float32) rgb {
	row := int((celsius - coolest) / degreeStep)
	if row < 0 {
		return rgb{}
	}
	return l.glow[min(row, glowRows-1)]
}

// advance lets the flame follow the turbulence.
func (l *light) advance(r *rand.Rand, v house.View, seconds float64) {
	target := float32(v.Light) * (0.45 + 0.55*float32(v.Turbulence))
	if v.Exhaust {
		target *= 1.7
	}
	l.level += (target - l.level) * float32(1-math.Exp(-seconds/l.lag))
	l.flicker = l.level * (1 + 0.12*float32(r.NormFloat64()))
	l.lampNow = 1 + l.mains*(2*r.Float32()-1)
	l.rise = float32(math.Mod(float64(l.rise)+40*seconds*(0.8+0.4*r.Float64()), side))
}

// paintWall draws the shell with its water, its glow and the flame above it.
func (c *camera) paintWall(v house.View) {
	s, l := &c.shell, &c.light
	overheated := float32(v.Overheated)
	dull := scaled(l.metal(660+90*overheated), overheated*l.wall)
	flame := max(l.flicker, 0)
	tip := l.height * flame * side
	lights, flames, skies := l.lamp, l.flame, l.sky
	run, rise := int(math.Mod(v.Time*float64(s.speed), side)), int(l.rise)
	for y := range side {
		ripples := s.ripple[(y+side-run)%side*side:]
		tongues := l.tongues[(y+rise)%side*side:]
		for x := range side {
			i := y*side + x
			heated, wet, open := c.heated[i], c.water[i], float32(1)
			if v.Spot.Cover > 0 {
				open = 1 - s.crust(i, v.Spot.Cover)
				heated *= open
			}
			wet = clamp(wet * 1.4)
			gloss := wet * (0.15 + 0.85*wet) * ripples[x]
			lamp, glare := s.lampShade[i]*l.lampNow, s.flameShade[i]*flame
			lampGloss, flameGloss := gloss*s.lampGloss[i], gloss*s.flameGloss[i]*flame
			own := (0.8 + 0.4*s.oxide[i]) * (1 - 0.3*wet)
			dry, damp, to := &s.dry[i], &s.wet[i], &c.image[i]
			for k := range to {
				albedo := dry[k] + (damp[k]-dry[k])*wet
				if heated > 0 {
					albedo += (s.pale[k]*(0.7+0.6*s.oxide[i]) - albedo) * heated * 0.85
				}
				to[k] = lights[k]*(albedo*lamp+lampGloss) + flames[k]*(albedo*glare+flameGloss) + skies[k]*albedo + dull[k]*own
			}
			if t := c.temperature[i]; t > 480 && open > 0 {
				hot := l.metal(t + 90*(s.oxide[i]-0.5))
				for k := range to {
					to[k] += hot[k] * open
				}
			}
			if float32(y) < 2*tip {
				above := clamp((tip-float32(y))/(0.3*tip+1)+2.2*(tongues[x]-0.5)) * float32(v.Light)
				for k := range to {
					to[k] += above * l.flame[k] * 1.8
				}
			}
		}
	}
}

func scaled(a rgb, by float32) rgb { return rgb{a[0] * by, a[1] * by, a[2] * by} }
