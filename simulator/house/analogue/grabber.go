package analogue

import "math"

// blocks is the grabber's block coding: a DCT of 8 × 8 pixels, coarser in fine detail
// (Wallace 1992).
type blocks struct {
	step    [64]float32   // quantisation, 1 is white; 0 is none
	basis   [8][8]float32 // [frequency][place]
	enabled bool
}

func (b *blocks) build(levels float32) {
	b.enabled = levels > 0
	for k := range 8 {
		scale := 0.5
		if k == 0 {
			scale = math.Sqrt(0.125)
		}
		for x := range 8 {
			b.basis[k][x] = float32(scale * math.Cos(math.Pi*float64(k)*(float64(x)+0.5)/8))
		}
		for j := range 8 {
			b.step[k*8+j] = levels / 255 * (1 + 0.6*float32(k+j))
		}
	}
}

// code quantises each block of the luma plane.
func (b *blocks) code(y *[area]float32) {
	var block, half [64]float32
	for top := 0; top < side; top += 8 {
		for left := 0; left < side; left += 8 {
			for j := range 8 {
				b.forward((*[8]float32)(y[(top+j)*side+left:]), &half, j)
			}
			for j := range 8 {
				b.forward((*[8]float32)(half[8*j:]), &block, j)
			}
			for i, s := range b.step {
				q := block[i] / s
				block[i] = s * float32(int(q+float32(math.Copysign(0.5, float64(q)))))
			}
			clear(half[:])
			for j := range 8 {
				b.inverse((*[8]float32)(block[8*j:]), &half, j)
			}
			// After two transposing passes, half holds one column of the block a row.
			for j := range 8 {
				var row [64]float32
				b.inverse((*[8]float32)(half[8*j:]), &row, 0)
				for i := range 8 {
					y[(top+i)*side+left+j] = row[8*i]
				}
			}
		}
	}
}

// forward transforms eight values and writes them as column j. Even frequencies need only
// the sums of mirrored values, odd ones only the differences.
func (b *blocks) forward(in *[8]float32, out *[64]float32, j int) {
	s0, s1, s2, s3 := in[0]+in[7], in[1]+in[6], in[2]+in[5], in[3]+in[4]
	d0, d1, d2, d3 := in[0]-in[7], in[1]-in[6], in[2]-in[5], in[3]-in[4]
	for k := 0; k < 8; k += 2 {
		e, o := &b.basis[k], &b.basis[k+1]
		out[k*8+j] = e[0]*s0 + e[1]*s1 + e[2]*s2 + e[3]*s3
		out[k*8+8+j] = o[0]*d0 + o[1]*d1 + o[2]*d2 + o[3]*d3
	}
}

// inverse undoes forward. Most fine detail is quantised to 0 and is skipped.
func (b *blocks) inverse(in *[8]float32, out *[64]float32, j int) {
	var v [8]float32
	for k, f := range in {
		if f == 0 {
			continue
		}
		e := &b.basis[k]
		for x := range 8 {
			v[x] += f * e[x]
		}
	}
	for x := range 8 {
		out[x*8+j] = v[x]
	}
}

// grab digitises the decoded picture to 8 bits.
func (c *camera) grab(pixels []byte) {
	s := &c.signal
	if c.blocks.enabled {
		c.blocks.code(&s.y)
	}
	scale := 255 / (c.white - c.black)
	pixels = pixels[:3*area]
	for i := range area {
		y := (s.y[i] - c.black) * scale
		if c.monochrome {
			g := level(y)
			pixels[3*i], pixels[3*i+1], pixels[3*i+2] = g, g, g
			continue
		}
		u, v := s.u[i]*scale, s.v[i]*scale
		pixels[3*i] = level(y + 1.140*v)
		pixels[3*i+1] = level(y - 0.395*u - 0.581*v)
		pixels[3*i+2] = level(y + 2.032*u)
	}
}

// level rounds to a grey level.
func level(v float32) byte {
	if v <= 0 {
		return 0
	}
	if v >= 255 {
		return 255
	}
	return byte(int32(v + 0.5))
}
