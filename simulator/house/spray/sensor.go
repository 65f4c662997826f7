package spray

import (
	"math"
	"math/rand/v2"
)

// curve is the number of steps of the tone curve's table.
const curve = 1024

// sensor is the camera behind its lens: exposure, tone, colour and noise.
type sensor struct {
	key      float32 // mean that the automatic exposure aims at
	gain     float32
	lag      float64 // seconds
	slope    float64 // stops for a full push of the exposure
	least    float32
	most     float32
	white    rgb // white balance
	leak     float32
	halo     float32 // strength of the sharpening
	noise    float32 // grey levels
	scatter  float32 // share of bright light that the lens spreads
	tone     [curve + 1]float32
	grain    [4 * side * side]float32
	begun    bool
	luma     plane
	chroma   [2]grid
	spread   [2]plane
	brighter grid
}

func newSensor(r *rand.Rand) sensor {
	s := sensor{
		key: uniform(r, 0.14, 0.26), lag: float64(uniform(r, 0.5, 2)), slope: float64(uniform(r, 2.5, 3.3)),
		least: 0.3, most: uniform(r, 6, 14),
		white: rgb{uniform(r, 0.82, 1.22), 1, uniform(r, 0.8, 1.25)}, leak: uniform(r, 0.02, 0.07),
		halo: uniform(r, 0.15, 0.5), noise: uniform(r, 0.7, 2.4), scatter: uniform(r, 0.02, 0.06),
	}
	power, shoulder := 1/float64(uniform(r, 1.9, 2.4)), float64(uniform(r, 0.9, 1.3))
	for i := range s.tone {
		// Rows are even in x/(1+x), so that highlights take few of them.
		x := float64(i) / curve
		s.tone[i] = float32(255 * math.Pow(1-math.Exp(-shoulder*x/(1.0001-x)), power))
	}
	for i := range s.grain {
		s.grain[i] = float32(r.NormFloat64())
	}
	return s
}

// flare spreads light that is far brighter than the scene, as the lens does.
func (s *sensor) flare(image *picture) {
	limit, any := 2.5/max(s.gain, 0.1), false
	for y := range cells {
		for x := range cells {
			i := 2*y*side + 2*x
			over := image[i][0] + image[i+side+1][0] - 2*limit
			s.brighter[y*cells+x] = max(over, 0) * 0.5
			any = any || over > 0
		}
	}
	if !any {
		return
	}
	blurred := s.brighter
	for range 2 {
		blur(&blurred)
	}
	upsample(&blurred, &s.luma)
	for i, v := range s.luma {
		v *= s.scatter
		image[i][0] += v
		image[i][1] += 0.75 * v
		image[i][2] += 0.6 * v
	}
}

// blur is a running mean over five cells, along both axes.
func blur(g *grid) {
	var line [cells]float32
	for pass := range 2 {
		step, next := 1, cells
		if pass == 1 {
			step, next = cells, 1
		}
		for n := range cells {
			for i := range cells {
				line[i] = g[n*next+i*step]
			}
			sum := line[0] + line[1]
			for i := range cells {
				if i+2 < cells {
					sum += line[i+2]
				}
				if i > 2 {
					sum -= line[i-3]
				}
				g[n*next+i*step] = sum / 5
			}
		}
	}
}

// expose follows the picture's brightness with a lag and returns the gain of each channel.
func (s *sensor) expose(image *picture, push, seconds float64) rgb {
	// Metering clips what the sensor clips, so that a small bright place counts little.
	sum, clip := float32(0), float32(1.2)
	if s.begun {
		clip = 1.2 / s.gain
	}
	for i := 0; i < side*side; i += 3 {
		sum += min(0.3*image[i][0]+0.6*image[i][1]+0.1*image[i][2], clip)
	}
	mean := sum * 3 / (side * side)
	wanted := min(max(s.key/max(mean, 0.001), s.least), s.most)
	if !s.begun {
		s.gain, s.begun = wanted, true
	}
	share := 1 - math.Exp(-seconds/s.lag)
	s.gain *= float32(math.Pow(float64(wanted/s.gain), share))
	return scaled(s.white, s.gain*float32(math.Exp2(push*s.slope)))
}

// develop turns light into bytes.
func (s *sensor) develop(r *rand.Rand, image *picture, push, seconds float64, pixels []byte) {
	gain := s.expose(image, push, seconds)
	for y := range cells {
		for x := range cells {
			var red, blue float32
			for n := range 4 {
				i := (2*y+n/2)*side + 2*x + n%2
				a, b, c := image[i][0]*gain[0], image[i][1]*gain[1], image[i][2]*gain[2]
				// The colour filters overlap, and a full well spills into its neighbours.
				shared := s.leak * (a + b + c)
				a, b, c = s.toned(a+shared), s.toned(b+shared), s.toned(c+shared)
				luma := 0.299*a + 0.587*b + 0.114*c
				s.luma[i] = luma
				red += a - luma
				blue += c - luma
			}
			// The codec keeps one value of colour for four pixels.
			s.chroma[0][y*cells+x], s.chroma[1][y*cells+x] = red/4, blue/4
		}
	}
	upsample(&s.chroma[0], &s.spread[0])
	upsample(&s.chroma[1], &s.spread[1])
	start := r.IntN(len(s.grain) - side*side)
	grain := s.grain[start : start+side*side]
	for y := range side {
		row := s.luma[y*side : y*side+side]
		above, below := s.luma[max(y-1, 0)*side:][:side], s.luma[min(y+1, side-1)*side:][:side]
		left := row[0]
		for x := range side {
			i := y*side + x
			l, right := row[x], row[min(x+1, side-1)]
			around := above[x] + below[x] + left + right
			left = l
			// Shot noise is largest in the middle tones once the tone curve has bent it.
			l += s.halo*(l-around/4) + s.noise*(0.6+l*(255-l)*2.5e-5)*grain[i]
			red, blue := s.spread[0][i], s.spread[1][i]
			green := -(0.299*red + 0.114*blue) / 0.587
			to := pixels[3*i : 3*i+3 : 3*i+3]
			to[0], to[1], to[2] = level(l+red), level(l+green), level(l+blue)
		}
	}
}

func (s *sensor) toned(x float32) float32 {
	return s.tone[int(x/(1+x)*curve)]
}

func level(x float32) byte {
	switch n := int32(x + 0.5); {
	case n < 0:
		return 0
	case n > 255:
		return 255
	default:
		return byte(n)
	}
}
