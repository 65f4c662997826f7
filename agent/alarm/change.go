package alarm

import (
	"math"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// Background follows the picture's usual brightness and tells where it has become
// brighter. It uses no model, so it is evidence of its own beside the model's attention.
//
// The picture is divided into cells. A cell's brightness is relative to that of the whole
// picture, because a camera's exposure follows the flame. Mean and fluctuation of each
// cell are averaged over a minute, and stand still while the furnace looks abnormal.
type Background struct {
	mean, variance [grid * grid]float64
	seen           float64 // seconds
	last           time.Time
	change         *message.Change
}

const (
	grid = 16
	// settled is how many seconds of background are needed, and over how many it averages.
	settled  = 30
	averaged = 60
	// A cell has changed if it is brighter by that many standard deviations, and by that
	// share of the picture's brightness.
	strongest = 6
	least     = 0.05
	// floor is the least standard deviation: a picture without noise fluctuates too.
	floor = 0.01
)

// Observe adds a frame. The background is not updated while frozen.
func (b *Background) Observe(f drivers.Frame, frozen bool) {
	if f.Number == 0 || !f.Time.After(b.last) || f.Width < grid || f.Height < grid || len(f.Pixels) != 3*f.Width*f.Height {
		return
	}
	dt := f.Time.Sub(b.last).Seconds()
	if dt > averaged { // after a gap the light is another
		*b = Background{}
		dt = 1
	}
	b.last = f.Time
	now, ok := cells(f)
	if !ok {
		return // black
	}
	b.change = b.compare(&now)
	if frozen && b.seen >= settled {
		return
	}
	b.seen += dt
	share := max(1-math.Exp(-dt/averaged), dt/max(b.seen, dt))
	for i, v := range now {
		d := v - b.mean[i]
		b.mean[i] += share * d
		b.variance[i] += share * (d*(v-b.mean[i]) - b.variance[i])
	}
}

// Change is where the newest frame is brighter than the background; nil while the
// background is young, or if nothing has changed.
func (b *Background) Change() *message.Change { return b.change }

// cells returns the brightness of each cell relative to the whole picture's.
func cells(f drivers.Frame) (values [grid * grid]float64, ok bool) {
	var counts [grid * grid]int
	total := 0.0
	for y := range f.Height {
		row := y * grid / f.Height * grid
		for x := range f.Width {
			p := f.Pixels[3*(y*f.Width+x):]
			v := 0.299*float64(p[0]) + 0.587*float64(p[1]) + 0.114*float64(p[2])
			i := row + x*grid/f.Width
			values[i] += v
			counts[i]++
			total += v
		}
	}
	mean := total / float64(f.Width*f.Height)
	if mean < 2 {
		return values, false
	}
	for i := range values {
		values[i] /= float64(counts[i]) * mean
	}
	return values, true
}

func (b *Background) compare(now *[grid * grid]float64) *message.Change {
	if b.seen < settled {
		return nil
	}
	var sum, x, y, xx, yy, strength float64
	changed := 0
	for i, v := range now {
		d := v - b.mean[i]
		z := d / max(math.Sqrt(max(b.variance[i], 0)), floor)
		if d < least || z < strongest {
			continue
		}
		changed++
		strength = max(strength, z)
		cx := (float64(i%grid) + 0.5) / grid
		cy := (float64(i/grid) + 0.5) / grid
		sum, x, y, xx, yy = sum+d, x+d*cx, y+d*cy, xx+d*cx*cx, yy+d*cy*cy
	}
	if changed < 2 { // one cell alone is noise
		return nil
	}
	x, y = x/sum, y/sum
	spread := math.Sqrt(max(xx/sum-x*x, 0) + max(yy/sum-y*y, 0))
	return &message.Change{Evidence: message.Evidence{X: x, Y: y, Spread: spread}, Share: float64(changed) / (grid * grid), Strength: strength}
}

// agree reports whether the model's attention and the change are the same place; nil if
// one is unknown.
func agree(e *message.Evidence, c *message.Change) *bool {
	if e == nil || c == nil {
		return nil
	}
	// Attention that is spread over the whole crop names no place.
	const apart, wide = 0.15, 0.3
	same := math.Hypot(e.X-c.X, e.Y-c.Y) <= max(apart, min(e.Spread, wide)+c.Spread/2)
	return &same
}
