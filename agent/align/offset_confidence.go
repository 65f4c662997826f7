package align

import (
	"math"
	"slices"

	"meltwatch/inference"
)

// The features are computed by inference/train/evaluation/offset_confidence.py too, and a
// test holds both together. What follows is part of their definition, as the number of
// blocks is; everything that is fitted to data is in the manifest.
const (
	near          = 1.0 // seconds from the best lateness within which a second one is the same
	quarters      = 4
	clipped       = 2.0  // seconds; a quarter that is farther away says no more
	sure          = 20.0 // a significance beyond which more says no more
	standardFloor = 0.02 // of the curve's spread, added to a standard error
	tiny          = 1e-12
)

// estimated estimates the lateness from the curves. It returns false if that is not known.
func (o *Offset) estimated() (Estimate, bool) {
	c := o.spec.Confidence
	if c == nil {
		return o.agreeing()
	}
	var best Estimate
	// A delay that has changed divides the pool: then its newest part alone may know.
	for n := len(o.curves); n >= c.MinWindows; n /= 2 {
		e := o.confident(o.curves[len(o.curves)-n:])
		if e.Confidence >= c.Threshold {
			return e, true
		}
		if e.Confidence > best.Confidence {
			best = e
		}
	}
	return best, false
}

// agreeing is the rule of a manifest without a confidence: a whole pool, all quarters of
// which give the same offset. Noise has a minimum too, but not at the same shift in all
// four.
func (o *Offset) agreeing() (Estimate, bool) {
	if len(o.curves) < o.spec.Pool {
		return Estimate{}, false
	}
	p := o.pooled(o.curves, quarters)
	lateness, _, ok := p.least(p.mean)
	if !ok {
		return Estimate{}, false
	}
	for quarter := range quarters {
		if _, _, ok := p.least(p.part(quarter, quarters)); !ok {
			return Estimate{}, false
		}
	}
	spread := p.spread(lateness, math.Inf(1))
	return Estimate{Seconds: lateness, Spread: spread, Windows: len(o.curves)}, spread <= o.agree
}

// spread is the root of the quarters' mean squared distance from a lateness, in seconds;
// no quarter counts as farther away than most.
func (p pool) spread(lateness, most float64) float64 {
	var squares float64
	for quarter := range quarters {
		alone, _, _ := p.least(p.part(quarter, quarters))
		away := min(math.Abs(alone-lateness), most)
		squares += away * away / quarters
	}
	return math.Sqrt(squares)
}

// confident is the estimate from curves with its confidence.
func (o *Offset) confident(curves []curve) Estimate {
	p := o.pooled(curves, inference.OffsetBlocks)
	lateness, best, ok := p.least(p.mean)
	if !ok {
		return Estimate{}
	}
	e := Estimate{Seconds: lateness, Spread: p.spread(lateness, clipped), Windows: len(curves)}
	if features, ok := p.features(best, e); ok {
		e.Confidence = probability(*o.spec.Confidence, features)
	}
	return e
}

// features are inference.OffsetFeatures of a pool whose mean is least at an index.
//
// All measure how certain the minimum is: how far the curve's median lies above it, in units
// of the curve's spread; how far the quarters' own minima lie from it; and the significance
// of its lead over each lateness that is not near, in standard errors by the blocks, of
// which the least counts. It returns false where every lateness is near.
func (p pool) features(best int, e Estimate) (features []float64, ok bool) {
	significance, spread := sure, deviation(p.mean)
	for i, at := range p.at {
		if math.Abs(at-p.at[best]) <= near+rounding {
			continue
		}
		lead, standard := p.lead(best, i)
		significance, ok = min(significance, lead/(standard+standardFloor*spread+tiny)), true
	}
	return []float64{(median(p.mean) - p.mean[best]) / (spread + tiny), e.Spread, significance}, ok
}

// lead is by how much the blocks' means are lower at one index than at another, on average,
// and the standard error of that.
func (p pool) lead(best, other int) (mean, standard float64) {
	n := float64(len(p.blocks))
	var sum, squares float64
	for block, count := range p.counts {
		lead := (p.blocks[block][other] - p.blocks[block][best]) / float64(count)
		sum += lead
		squares += lead * lead
	}
	mean = sum / n
	return mean, math.Sqrt(max(squares/n-mean*mean, 0) / (n - 1))
}

// probability is that of a regression.
func probability(c inference.OffsetConfidence, features []float64) float64 {
	logit := c.Intercept
	for i, name := range inference.OffsetFeatures {
		of := c.Features[name]
		logit += of.Weight * (features[i] - of.Mean) / of.Std
	}
	return 1 / (1 + math.Exp(-logit))
}

// deviation is the standard deviation of a curve's values.
func deviation(values []float64) float64 {
	n := float64(len(values))
	var sum, squares float64
	for _, v := range values {
		sum += v / n
	}
	for _, v := range values {
		squares += (v - sum) * (v - sum) / n
	}
	return math.Sqrt(squares)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
