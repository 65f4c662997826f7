package nightcam

import (
	"math"

	"meltwatch/simulator/house"
)

const block = 8

// codec leaves the blocks of a stream with too few bits: an 8 × 8 cosine transform with
// coarse steps, coarser for finer detail.
type codec struct {
	step   float64 // grey levels; 0 for a stream without loss
	rise   float64 // how much coarser the finest detail is
	ox, oy int     // the crop does not start on a block
	cosine [block][block]float64
	back   [block][block]float64
}

func newCodec(d dice) codec {
	c := codec{rise: d.between(0.2, 0.8), ox: d.IntN(block), oy: d.IntN(block)}
	if d.chance(0.85) {
		c.step = d.logBetween(2, 16)
	}
	for k := range block {
		norm := math.Sqrt(2.0 / block)
		if k == 0 {
			norm = math.Sqrt(1.0 / block)
		}
		for n := range block {
			c.cosine[k][n] = norm * math.Cos(math.Pi*(float64(n)+0.5)*float64(k)/block)
			c.back[n][k] = c.cosine[k][n]
		}
	}
	return c
}

// pass codes and decodes a picture in place. A picture of one band stays grey.
func (c *codec) pass(rgb []byte, bands int) {
	if c.step == 0 {
		return
	}
	for top := -c.oy; top < house.Side; top += block {
		for left := -c.ox; left < house.Side; left += block {
			for b := range bands {
				c.square(rgb, top, left, b)
			}
		}
	}
	if bands > 1 {
		return
	}
	for i := 0; i < len(rgb); i += 3 {
		rgb[i+1], rgb[i+2] = rgb[i], rgb[i]
	}
}

// square codes one band of one block; beyond the crop its edge goes on.
func (c *codec) square(rgb []byte, top, left, b int) {
	var a, f [block][block]float64
	for j := range block {
		for i := range block {
			row, col := min(max(top+j, 0), house.Side-1), min(max(left+i, 0), house.Side-1)
			a[j][i] = float64(rgb[3*(row*house.Side+col)+b]) - 128
		}
	}
	transform(&a, &f, &c.cosine)
	for j := range block {
		for i := range block {
			step := c.step * (0.5 + c.rise*float64(i+j))
			f[j][i] = step * math.Round(f[j][i]/step)
		}
	}
	transform(&f, &a, &c.back)
	for j := range block {
		for i := range block {
			row, col := top+j, left+i
			if row >= 0 && col >= 0 && row < house.Side && col < house.Side {
				rgb[3*(row*house.Side+col)+b] = byte(clip(a[j][i]+128.5, 0, 255))
			}
		}
	}
}

// transform is the separable transform to a basis, one vector a row. The basis of the way
// back is the transpose.
func transform(from, to, basis *[block][block]float64) {
	var half [block][block]float64
	for j := range block {
		r := &from[j]
		for k := range block {
			m := &basis[k]
			half[k][j] = r[0]*m[0] + r[1]*m[1] + r[2]*m[2] + r[3]*m[3] + r[4]*m[4] + r[5]*m[5] + r[6]*m[6] + r[7]*m[7]
		}
	}
	for i := range block {
		r := &half[i]
		for k := range block {
			m := &basis[k]
			to[k][i] = r[0]*m[0] + r[1]*m[1] + r[2]*m[2] + r[3]*m[3] + r[4]*m[4] + r[5]*m[5] + r[6]*m[6] + r[7]*m[7]
		}
	}
}
