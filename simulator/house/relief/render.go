package relief

import (
	"math"
	"math/rand/v2"
)

// surface is the shell as the camera sees it.
type surface struct {
	plate   field // share of the pixel that is bare shell
	thermal field
	open    field // how open the place is to light from all sides
	albedo  picture
}

// grid is the relief, computed.
type grid struct {
	points  [fine * fine]point
	normals [fine * fine][3]float32
	open    [fine * fine]float32
	top     float32
}

func place(i int) float32 { return (float32(i)+0.5)*cell - margin }

func (g *grid) height(x, y float32) float32 {
	i := min(max(int((x+margin)/cell), 0), fine-1)
	j := min(max(int((y+margin)/cell), 0), fine-1)
	return g.points[j*fine+i].height
}

func (g *geometry) grid() *grid {
	d := &grid{top: -1}
	for j := range fine {
		for i := range fine {
			p := g.at(place(i), place(j))
			d.points[j*fine+i] = p
			d.top = max(d.top, p.height)
		}
	}
	for j := range fine {
		for i := range fine {
			at := func(i, j int) float32 {
				return d.points[min(max(j, 0), fine-1)*fine+min(max(i, 0), fine-1)].height
			}
			nx := clamp((at(i-1, j)-at(i+1, j))/(2*cell), -3, 3)
			ny := clamp((at(i, j-1)-at(i, j+1))/(2*cell), -3, 3)
			length := sqrt(nx*nx + ny*ny + 1)
			d.normals[j*fine+i] = [3]float32{nx / length, ny / length, 1 / length}
			d.open[j*fine+i] = d.openness(i, j)
		}
	}
	return d
}

// openness is the mean of 1 − sin(horizon) over eight directions.
func (g *grid) openness(i, j int) float32 {
	x, y, h := place(i), place(j), g.points[j*fine+i].height
	sum := float32(0)
	for k := range 8 {
		s, c := math.Sincos(float64(k) * math.Pi / 4)
		steepest := float32(0)
		for t := float32(cell); t < 0.16; t *= 1.6 {
			steepest = max(steepest, (g.height(x+t*float32(c), y+t*float32(s))-h)/t)
		}
		sum += 1 - steepest/sqrt(1+steepest*steepest)
	}
	return sum / 8
}

// lit is how much of a light at l reaches a place: 0 in shadow, and between in the
// penumbra, which widens with the distance of what casts it.
func (g *grid) lit(x, y, h float32, l [3]float32, soft float32) float32 {
	dx, dy, dz := l[0]-x, l[1]-y, l[2]-h
	flat := sqrt(dx*dx+dy*dy) + 1e-4
	slope := dz / flat
	dx, dy = dx/flat, dy/flat
	share := float32(1)
	for t := float32(1.5 * cell); t < min(flat, 0.5); t = 1.05*t + 0.8*cell {
		z := h + slope*t
		if z > g.top {
			break
		}
		share = min(share, 0.5+(z-g.height(x+dx*t, y+dy*t)+0.002)/(soft*t+0.002))
		if share <= 0 {
			return 0
		}
	}
	return share
}

// look finds where the view through a place of the crop meets the relief: what stands out
// shifts with the camera's angle.
func (g *grid) look(x, y float32, tilt [2]float32) int {
	cellAt := func(x, y float32) int {
		i := min(max(int((x+margin)/cell), 0), fine-1)
		j := min(max(int((y+margin)/cell), 0), fine-1)
		return j*fine + i
	}
	// The plate's own curve is left out of the shift, so that the shell stays in the crop.
	ground := g.points[cellAt(x, y)].height - 0.02
	for z := g.top; z > ground; z -= 0.004 {
		n := cellAt(x+tilt[0]*(z-ground), y+tilt[1]*(z-ground))
		if g.points[n].height >= z {
			return n
		}
	}
	return cellAt(x, y)
}

// render computes what each light adds to each pixel.
func (g *geometry) render(r *rand.Rand, l *lights) surface {
	d := g.grid()
	var s surface
	backs := newBackdrop(r)
	const sub = 2
	for y := range side {
		for x := range side {
			i := y*side + x
			for k := range sub * sub {
				px := (float32(x) + (float32(k%sub)+0.5)/sub) / side
				py := (float32(y) + (float32(k/sub)+0.5)/sub) / side
				n := d.look(px, py, g.tilt)
				p := &d.points[n]
				const weight = 1.0 / (sub * sub)
				if p.kind == backdrop {
					backs.add(px, py, weight, i, l)
					continue
				}
				if p.kind == plate {
					s.plate[i] += weight
				}
				s.thermal[i] += weight * p.thermal
				s.open[i] += weight * d.open[n]
				s.albedo[i] = s.albedo[i].plus(p.albedo.times(weight))
				l.shade(d, n, weight, i)
			}
		}
	}
	return s
}

// hall is what stands behind the shell: a wall, and perhaps a window or lamps.
type hall struct {
	seed    uint32
	wall    rgb
	windows [][4]float32
	bright  float32
	lamps   []position
}

func newBackdrop(r *rand.Rand) *hall {
	b := &hall{seed: r.Uint32(), wall: rgb{0.1, 0.1, 0.1}.times(between(r, 0.1, 2)), bright: between(r, 1, 12)}
	for range r.IntN(3) {
		b.windows = append(b.windows, [4]float32{r.Float32(), r.Float32(), between(r, 0.04, 0.2), between(r, 0.05, 0.25)})
	}
	for range r.IntN(3) {
		b.lamps = append(b.lamps, position{r.Float32(), r.Float32()})
	}
	return b
}

func (b *hall) add(x, y, weight float32, i int, l *lights) {
	sky := &l.sources[0]
	sky.layer[i] = sky.layer[i].plus(b.wall.times(weight * (0.5 + noise(b.seed, 6*x, 6*y))))
	for _, w := range b.windows {
		if abs(x-w[0]) < w[2]/2 && abs(y-w[1]) < w[3]/2 && abs(abs(x-w[0])-w[2]/4) > 0.006 {
			sky.layer[i] = sky.layer[i].plus(rgb{0.85, 0.95, 1.1}.times(weight * b.bright * 0.3))
		}
	}
	for _, q := range b.lamps {
		if d := (x-q.x)*(x-q.x) + (y-q.y)*(y-q.y); d < 0.0006 {
			l.sources[1].layer[i] = l.sources[1].layer[i].plus(l.sources[1].colour.times(weight * b.bright))
		}
	}
}
