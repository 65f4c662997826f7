package analogue

// coarse is the side of the grid on which scattered light and the meter are reckoned.
const (
	coarse = 8
	patch  = side / coarse
)

// window is the dirty pane: what it lets through and what it scatters.
type window struct {
	transmission, haze [area]float32
	column             [side]int     // grid column left of a pixel
	weight             [side]float32 // of the column to its right
	grid               [coarse * coarse]colour
}

func (w *window) build(r dice, t *traits) {
	film, grease := r.texture(side, 2, 2, 2), r.texture(side, 5, 5, 3)
	edge := r.between(0.6, 0.95)
	for i := range area {
		d := min(1, 0.35*film[i]+step(edge-0.35, edge+0.2, grease[i])+0.1)
		w.transmission[i], w.haze[i] = 1-t.dirt*d, t.scatter*(0.3+d)
	}
	// Dry drops: small dark discs with a bright rim of scatter.
	for range r.IntN(7) {
		x, y, radius := r.between(0, side), r.between(0, side), r.between(1, 4)
		for i := range area {
			dx, dy := float32(i%side)-x, float32(i/side)-y
			if d := sqrt(dx*dx+dy*dy) / radius; d < 1.5 {
				w.transmission[i] *= 1 - 0.6*t.dirt*step(1.5, 0.7, d)
			}
		}
	}
	for x := range side {
		at := (float32(x)+0.5)/patch - 0.5
		at = max(0, min(coarse-1.001, at))
		w.column[x] = int(at)
		w.weight[x] = at - float32(w.column[x])
	}
}

// soften passes the scene through the window. Bright things cast a halo on the dirt. It
// returns the grid's mean colours before the halo, for the meter.
func (c *camera) soften() *[coarse * coarse]colour {
	w := &c.window
	clear(w.grid[:])
	for i := range area {
		l := &c.light[i]
		g := &w.grid[(i/side/patch)*coarse+i%side/patch]
		g[0], g[1], g[2] = g[0]+l[0], g[1]+l[1], g[2]+l[2]
	}
	for i := range w.grid {
		w.grid[i] = w.grid[i].times(1.0 / (patch * patch))
	}
	halo := spread(spread(spread(w.grid)))
	for y := range side {
		row := w.column[y] * coarse
		var line [coarse]colour
		for x := range coarse {
			for b := range 3 {
				line[x][b] = mix(halo[row+x][b], halo[row+coarse+x][b], w.weight[y])
			}
		}
		for x := range side {
			i := y*side + x
			a, b, f := &line[w.column[x]&7], &line[(w.column[x]+1)&7], w.weight[x]
			l, s, h := &c.light[i], w.transmission[i], w.haze[i]
			l[0] = l[0]*s + h*(a[0]+(b[0]-a[0])*f)
			l[1] = l[1]*s + h*(a[1]+(b[1]-a[1])*f)
			l[2] = l[2]*s + h*(a[2]+(b[2]-a[2])*f)
			c.through[i] *= s
		}
	}
	return &w.grid
}

// spread is one pass of blur over the grid.
func spread(g [coarse * coarse]colour) (out [coarse * coarse]colour) {
	for y := range coarse {
		for x := range coarse {
			up, down := max(y-1, 0)*coarse+x, min(y+1, coarse-1)*coarse+x
			left, right := y*coarse+max(x-1, 0), y*coarse+min(x+1, coarse-1)
			for b := range 3 {
				out[y*coarse+x][b] = 0.3*g[y*coarse+x][b] + 0.175*(g[up][b]+g[down][b]+g[left][b]+g[right][b])
			}
		}
	}
	return out
}
