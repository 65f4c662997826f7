package align

import (
	"math"
	"slices"
	"time"
)

// curve is the prominence of one window's loss by shift, with the window's end and its
// VideoLag in seconds.
type curve struct {
	end  time.Time
	lag  float64
	loss []float64
}

// prominence is the difference between each loss and the mean of the losses DipS to
// both sides, or the loss itself if DipS is 0. Beyond its ends a curve is constant.
func (o *Offset) prominence(loss []float32) []float64 {
	raw, shifts, aside := make([]float64, len(loss)), o.spec.ShiftsS, o.spec.ProminenceS
	for i, l := range loss {
		raw[i] = float64(l)
	}
	// The difference of a curve that is flat but for rounding would not look flat.
	if flat(raw) {
		return make([]float64, len(loss))
	}
	if aside == 0 {
		return raw
	}
	first, last := shifts[0], shifts[len(shifts)-1]
	out := make([]float64, len(loss))
	for i, shift := range shifts {
		out[i] = raw[i] - (o.at(raw, max(shift-aside, first))+o.at(raw, min(shift+aside, last)))/2
	}
	return out
}

// pool is the mean of consecutive windows' curves by lateness, as a whole and by blocks of
// windows.
type pool struct {
	at     []float64   // lateness of each point in seconds, descending
	mean   []float64   // of all windows
	blocks [][]float64 // sums of each block's windows, oldest first
	counts []int       // windows of each block
}

// pooled pools curves in a number of blocks, at every lateness at which all have a value.
func (o *Offset) pooled(curves []curve, blocks int) pool {
	p := pool{blocks: make([][]float64, blocks), counts: make([]int, blocks)}
	n := len(curves)
	var lag float64
	for _, c := range curves {
		lag += c.lag / float64(n)
	}
	for _, shift := range o.spec.ShiftsS {
		sums := make([]float64, blocks)
		var sum float64
		for block := range blocks {
			for _, c := range curves[block*n/blocks : (block+1)*n/blocks] {
				sums[block] += o.at(c.loss, shift+c.lag-lag)
			}
			sum += sums[block]
		}
		if math.IsNaN(sum) {
			continue
		}
		p.at, p.mean = append(p.at, lag-shift), append(p.mean, sum/float64(n))
		for block := range blocks {
			p.blocks[block] = append(p.blocks[block], sums[block])
		}
	}
	for block := range blocks {
		p.counts[block] = (block+1)*n/blocks - block*n/blocks
	}
	return p
}

// part is the mean of the windows of one of a number of consecutive parts, each of as many
// blocks.
func (p pool) part(part, parts int) []float64 {
	each := len(p.blocks) / parts
	mean, count := make([]float64, len(p.at)), 0
	for block := part * each; block < (part+1)*each; block++ {
		count += p.counts[block]
		for i, sum := range p.blocks[block] {
			mean[i] += sum
		}
	}
	for i := range mean {
		mean[i] /= float64(count)
	}
	return mean
}

// least is the lateness in seconds at which a mean curve is least, and the index of its
// least value. A minimum at an edge does not count, because the true one may lie beyond; a
// flat mean has its minimum at the edge.
func (p pool) least(mean []float64) (lateness float64, best int, ok bool) {
	if len(mean) == 0 {
		return 0, 0, false
	}
	for i := range mean {
		if mean[i] < mean[best] {
			best = i
		}
	}
	if best == 0 || best+1 == len(mean) {
		return p.at[best], best, false
	}
	return vertex([3]float64(p.at[best-1:best+2]), [3]float64(mean[best-1:best+2])), best, true
}

// at is a curve's value at a shift, interpolated between its neighbours; NaN beyond its
// ends.
func (o *Offset) at(loss []float64, shift float64) float64 {
	shifts := o.spec.ShiftsS
	last := len(shifts) - 1
	if !(shift >= shifts[0]-rounding && shift <= shifts[last]+rounding) {
		return math.NaN()
	}
	i, _ := slices.BinarySearch(shifts, shift)
	i = min(max(i, 1), last)
	share := (shift - shifts[i-1]) / (shifts[i] - shifts[i-1])
	return loss[i-1]*(1-share) + loss[i]*share
}

// rounding is the relative error of a float32 difference between equal values.
const rounding = 1e-6

func finite(loss []float32) bool {
	for _, l := range loss {
		if math.IsNaN(float64(l)) || math.IsInf(float64(l), 0) {
			return false
		}
	}
	return true
}

// flat reports whether a curve's values differ by rounding only.
func flat(values []float64) bool {
	least, most := values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	return most-least <= rounding*max(math.Abs(least), math.Abs(most))
}

// vertex is where the parabola through three points is least; y[1] is the least
// of the three.
func vertex(x, y [3]float64) float64 {
	left, right := x[1]-x[0], x[1]-x[2]
	a, b := left*(y[1]-y[2]), right*(y[1]-y[0])
	if a == b { // three equal values
		return x[1]
	}
	return x[1] - (left*a-right*b)/(2*(a-b))
}
