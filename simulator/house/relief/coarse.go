package relief

// across is how many cells a coarse picture has across the crop; wide is a cell's pixels.
const (
	across = 16
	wide   = side / across
)

// coarse is a blurred picture, on a sixteenth of the pixels.
type coarse [across * across]rgb

// spread blurs a picture by twice a box of 2·radius+1 cells.
func (c *coarse) spread(p *picture, radius int) {
	*c = coarse{}
	for y := range side {
		row := c[y/wide*across : (y/wide+1)*across]
		for x := range side {
			q, cell := &p[y*side+x], &row[x/wide]
			cell[0] += q[0]
			cell[1] += q[1]
			cell[2] += q[2]
		}
	}
	for k := range c {
		c[k] = c[k].times(1.0 / (wide * wide))
	}
	for range 2 {
		for k := range across {
			c.box(k*across, 1, radius)
		}
		for k := range across {
			c.box(k, across, radius)
		}
	}
}

// box averages the cells around each cell of a line.
func (c *coarse) box(start, stride, radius int) {
	var line [across]rgb
	for k := range line {
		for d := -radius; d <= radius; d++ {
			line[k] = line[k].plus(c[start+min(max(k+d, 0), across-1)*stride])
		}
	}
	for k := range line {
		c[start+k*stride] = line[k].times(1 / float32(2*radius+1))
	}
}

// beside is, for a pixel along a line, the first of the two cells beside it and the weight
// of the second.
var beside = func() (b [side]struct {
	cell   int
	weight float32
}) {
	for k := range b {
		x := clamp((float32(k)+0.5)/wide-0.5, 0, across-1.001)
		b[k].cell = int(x)
		b[k].weight = x - float32(b[k].cell)
	}
	return b
}()

// at interpolates at a pixel.
func (c *coarse) at(column, row int) rgb {
	x, y := beside[column].weight, beside[row].weight
	q := c[beside[row].cell*across+beside[column].cell:]
	a, b, d, e := &q[0], &q[1], &q[across], &q[across+1]
	wa, wb, wd, we := (1-x)*(1-y), x*(1-y), (1-x)*y, x*y
	return rgb{
		wa*a[0] + wb*b[0] + wd*d[0] + we*e[0],
		wa*a[1] + wb*b[1] + wd*d[1] + we*e[1],
		wa*a[2] + wb*b[2] + wd*d[2] + we*e[2],
	}
}
