package relief

import (
	"math"
	"math/rand/v2"
)

// coder compresses like JPEG and the intra frames of a video: blocks of 8 × 8, a cosine
// transform, coefficients rounded by a table, colour at half the resolution. It also
// writes the clock that some cameras lay over their picture.
type coder struct {
	luma, chroma     [64]float32
	left, top        int // where the blocks' grid starts
	clock            bool
	clockX, clockY   int
	clockDark        bool
	y, blue, red     []float32
	halfBlue, halfRd []float32
}

// lumaTable and chromaTable are the example tables of ITU-T T.81, annex K.
var lumaTable = [64]float32{
	16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
	18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
}

var chromaTable = [64]float32{
	17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
	99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
}

// cosines is the transform's matrix.
var cosines = func() (m [8][8]float32) {
	for k := range m {
		for n := range m[k] {
			m[k][n] = float32(math.Cos(math.Pi*(float64(n)+0.5)*float64(k)/8) / 2)
			if k == 0 {
				m[k][n] /= math.Sqrt2
			}
		}
	}
	return m
}()

func newCoder(r *rand.Rand) coder {
	c := coder{
		left: r.IntN(8), top: r.IntN(8), clock: r.Float32() < 0.15,
		clockX: 2 + r.IntN(20), clockY: 1 + r.IntN(3), clockDark: r.Float32() < 0.3,
		y: make([]float32, pixels), blue: make([]float32, pixels), red: make([]float32, pixels),
		halfBlue: make([]float32, pixels/4), halfRd: make([]float32, pixels/4),
	}
	if r.Float32() < 0.4 {
		c.clockY = side - 8 - r.IntN(3)
	}
	scale := between(r, 0.25, 1.6)
	for k := range c.luma {
		c.luma[k], c.chroma[k] = max(scale*lumaTable[k], 1), max(scale*chromaTable[k], 1)
	}
	return c
}

// write compresses a displayed picture into bytes.
func (c *coder) write(t float64, p *picture, out []byte) {
	if c.clock {
		c.addClock(t, p)
	}
	clear(c.halfBlue)
	clear(c.halfRd)
	for i := range p {
		r, g, b := 255*clamp(p[i][0], 0, 1), 255*clamp(p[i][1], 0, 1), 255*clamp(p[i][2], 0, 1)
		y := 0.299*r + 0.587*g + 0.114*b
		c.y[i] = y - 128
		half := i/side/2*(side/2) + i%side/2
		c.halfBlue[half] += 0.564 * (b - y) / 4
		c.halfRd[half] += 0.713 * (r - y) / 4
	}
	blocks(c.y, side, c.left, c.top, &c.luma)
	blocks(c.halfBlue, side/2, c.left/2, c.top/2, &c.chroma)
	blocks(c.halfRd, side/2, c.left/2, c.top/2, &c.chroma)
	for i := range p {
		half := i/side/2*(side/2) + i%side/2
		y, b, r := c.y[i]+128, c.halfBlue[half], c.halfRd[half]
		out[3*i] = level(y + 1.403*r)
		out[3*i+1] = level(y - 0.714*r - 0.344*b)
		out[3*i+2] = level(y + 1.773*b)
	}
}

func level(x float32) byte { return byte(clamp(x+0.5, 0, 255)) }

// blocks passes a plane through the rounded transform.
func blocks(plane []float32, wide, left, top int, table *[64]float32) {
	var in, half, out [64]float32
	for y0 := -top; y0 < wide; y0 += 8 {
		for x0 := -left; x0 < wide; x0 += 8 {
			for j := range 8 {
				y := min(max(y0+j, 0), wide-1) * wide
				for i := range 8 {
					in[8*j+i] = plane[y+min(max(x0+i, 0), wide-1)]
				}
			}
			transform(&in, &half)
			transform(&half, &out)
			for k := range out {
				q := out[k] / table[k]
				switch {
				case q > -0.5 && q < 0.5:
					out[k] = 0
				case q > 0:
					out[k] = table[k] * float32(int(q+0.5))
				default:
					out[k] = -table[k] * float32(int(0.5-q))
				}
			}
			inverse(&out, &half)
			inverse(&half, &in)
			for j := max(0, -y0); j < 8 && y0+j < wide; j++ {
				for i := max(0, -x0); i < 8 && x0+i < wide; i++ {
					plane[(y0+j)*wide+x0+i] = in[8*j+i]
				}
			}
		}
	}
}

// transform transforms the rows of a block and turns it, so that twice does both
// directions.
func transform(in, out *[64]float32) {
	for j := range 8 {
		row := in[8*j : 8*j+8 : 8*j+8]
		for k := range 8 {
			m := &cosines[k]
			out[8*k+j] = row[0]*m[0] + row[1]*m[1] + row[2]*m[2] + row[3]*m[3] + row[4]*m[4] + row[5]*m[5] + row[6]*m[6] + row[7]*m[7]
		}
	}
}

func inverse(in, out *[64]float32) {
	for j := range 8 {
		row := in[8*j : 8*j+8 : 8*j+8]
		var sums [8]float32
		for k, x := range row {
			if x == 0 {
				continue
			}
			m := &cosines[k]
			for n := range sums {
				sums[n] += x * m[n]
			}
		}
		for n, x := range sums {
			out[8*n+j] = x
		}
	}
}

// digits are 3 × 5 pixels each, a bit a pixel, row by row from the top left.
var digits = [10]uint16{0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717}

// addClock writes hours, minutes and seconds.
func (c *coder) addClock(t float64, p *picture) {
	s := int(t) + 36000
	ink := float32(1)
	if c.clockDark {
		ink = 0
	}
	for k, d := range []int{s / 36000 % 10, s / 3600 % 10, s / 600 % 6, s / 60 % 10, s / 10 % 6, s % 10} {
		x0 := c.clockX + 4*k + k/2*2
		for b := range 15 {
			if digits[d]>>(14-b)&1 == 1 {
				x, y := x0+b%3, c.clockY+b/3
				if x < side && y < side {
					p[y*side+x] = rgb{ink, ink, ink}
				}
			}
		}
	}
}
