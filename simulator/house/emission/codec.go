package emission

import (
	"math"
	"math/rand/v2"
)

const (
	most     = 8           // largest block, pixels
	luma     = side + most // side of the coded brightness, for any place of the block grid
	chroma   = side/2 + most
	keyPress = 1.9 // how much coarser a key frame is, for its size
	slope    = 0.3 // how much coarser each higher frequency is
	starve   = 1.5 // how far motion coarsens the steps, at most
)

// channel is one coded plane as the receiver holds it.
type channel struct {
	width int
	from  []int32   // where each place lies in the picture: edges are repeated
	now   []float32 // to be sent
	held  []float32 // received so far
}

// codec is a starved video codec: blocks are sent only where they changed, as coarse
// cosine coefficients of the change; key frames start from grey, coarser, so the picture
// pumps, and then refines. A crop that was scaled down by two has blocks of 4.
type codec struct {
	block      int
	cosine     [most][most]float32 // frequency, place
	step       float32             // of a coefficient, grey levels
	patience   float32             // mean change of a block below which it is not sent
	keyPeriod  float64             // seconds
	left       float64             // until the next key frame
	busy       float32             // share of blocks sent lately
	saturation float32
	channels   [3]channel
	shift      int // of the block grid against the crop, pixels, even
}

func newCodec(rng *rand.Rand) *codec {
	c := &codec{block: 8, keyPeriod: between(rng, 1, 12), saturation: float32(between(rng, 0.65, 1.35))}
	if rng.Float64() < 0.4 {
		c.block = 4
	}
	if rng.Float64() < 0.1 { // a camera in night mode
		c.saturation *= 0.1
	}
	c.step = float32(math.Exp(between(rng, math.Log(4), math.Log(30))))
	c.patience = float32(between(rng, 0.8, 2)) + 0.04*c.step
	c.shift = 2 * rng.IntN(4)
	n := float64(c.block)
	for u := range c.block {
		for x := range c.block {
			c.cosine[u][x] = float32(math.Sqrt(2/n) * math.Cos((2*float64(x)+1)*float64(u)*math.Pi/2/n))
			if u == 0 {
				c.cosine[u][x] = float32(math.Sqrt(1 / n))
			}
		}
	}
	for k := range c.channels {
		width, size, shift := luma, side, c.shift
		if k > 0 {
			width, size, shift = chroma, side/2, c.shift/2
		}
		h := &c.channels[k]
		h.width, h.now, h.held = width, make([]float32, width*width), make([]float32, width*width)
		for i := range h.now {
			x, y := min(max(i%width-shift, 0), size-1), min(max(i/width-shift, 0), size-1)
			h.from = append(h.from, int32(y*size+x))
		}
	}
	return c
}

// pass sends the frame, 0–255, through the codec to pixels.
func (c *codec) pass(f *plane, dt float64, pixels []byte) {
	var y [area]float32
	var cb, cr [area / 4]float32
	for p := range y {
		r, g, b := f[3*p], f[3*p+1], f[3*p+2]
		l := 0.299*r + 0.587*g + 0.114*b
		y[p] = l
		q := p/side/2*(side/2) + p%side/2
		cb[q] += 0.25 * 0.564 * (b - l)
		cr[q] += 0.25 * 0.713 * (r - l)
	}
	c.left -= dt
	key := c.left <= 0
	if key {
		c.left = c.keyPeriod
	}
	sent, all := 0, 0
	for k, in := range [3][]float32{y[:], cb[:], cr[:]} {
		h := &c.channels[k]
		step := c.step * (1 + starve*c.busy)
		if key {
			step *= keyPress
			rest := float32(0)
			if k == 0 {
				rest = 128
			}
			for i := range h.held {
				h.held[i] = rest
			}
		}
		for i, from := range h.from {
			h.now[i] = in[from]
		}
		for by := 0; by < h.width; by += c.block {
			for bx := 0; bx < h.width; bx += c.block {
				all++
				if c.send(h, by*h.width+bx, step, key) {
					sent++
				}
			}
		}
	}
	c.busy += 0.3 * (float32(sent)/float32(all) - c.busy)
	c.show(pixels)
}

// send codes the block at a place; false if it has not changed enough.
func (c *codec) send(h *channel, at int, step float32, key bool) bool {
	var d, half [most * most]float32
	n, total := c.block, float32(0)
	for y := range n {
		now, held := h.now[at+y*h.width:][:n], h.held[at+y*h.width:][:n]
		for x := range now {
			r := now[x] - held[x]
			d[y*most+x] = r
			total += max(r, -r)
		}
	}
	if !key && total < c.patience*float32(n*n) {
		return false
	}
	for y := range n { // along rows
		row := d[y*most : y*most+n]
		for u := range n {
			s, base := float32(0), c.cosine[u][:n]
			for x := range row {
				s += base[x] * row[x]
			}
			half[y*most+u] = s
		}
	}
	var any [most]bool // columns with something to send
	for u := range n {
		for v := range n {
			s := float32(0)
			for y := range n {
				s += c.cosine[v][y] * half[y*most+u]
			}
			q := step * (1 + slope*float32(u+v))
			level := float32(int(s/q + float32(math.Copysign(0.36, float64(s))))) // a dead zone
			d[v*most+u] = level * q
			any[u] = any[u] || level != 0
		}
	}
	for u := range n {
		if !any[u] {
			continue
		}
		for y := range n {
			s := float32(0)
			for v := range n {
				s += c.cosine[v][y] * d[v*most+u]
			}
			out, base := h.held[at+y*h.width:][:n], c.cosine[u][:n]
			for x := range out {
				out[x] += s * base[x]
			}
		}
	}
	return true
}

// show turns what the receiver holds into pixels.
func (c *codec) show(pixels []byte) {
	h := &c.channels
	for p := range area {
		x, y := p%side+c.shift, p/side+c.shift
		i := y/2*chroma + x/2
		l, b, r := h[0].held[y*luma+x], c.saturation*h[1].held[i], c.saturation*h[2].held[i]
		out := pixels[3*p : 3*p+3]
		out[0] = level(l + 1.403*r)
		out[1] = level(l - 0.344*b - 0.714*r)
		out[2] = level(l + 1.773*b)
	}
}

func level(x float32) byte { return byte(min(max(x+0.5, 0), 255)) }
