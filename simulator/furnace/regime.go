package furnace

import "math"

// regime derives the arcs' targets from the state and its overlays.
func (f *Furnace) regime(t float64, s span) regime {
	r := regime{level: 1, sigma: normalSigma, wander: 1, lost: -1, manual: f.levels[atManual] > 0}
	switch s.State {
	case Off, Trip:
		r.level = 0
	case Startup:
		share := (t - s.from) / (s.to - s.from)
		r.level, r.sigma = 0.2+0.8*smooth(share), normalSigma*(1.6-0.6*share)
	case Overheating:
		r.sigma *= 0.5
	case AbnormalExhaust:
		r.sigma *= 1.5
	}
	if f.levels[atFeed] > 0 || s.State == Feeding {
		r.sigma *= 0.75 // cold charge dampens the pool
	}
	if f.levels[atExhaust] > 0 || s.State == Exhaust {
		r.sigma *= 1.2
	}
	f.quieten(&r, t, s)
	f.strike(&r, t)
	return r
}

// quieten applies the abnormal episode, or the similar calm spell.
func (f *Furnace) quieten(r *regime, t float64, s span) {
	if s.episode == nil {
		if calm := f.levels[atCalm]; calm > 0 {
			r.calm = smooth(calm * 1.5)
			r.sigma *= math.Pow(calmSigma, r.calm)
			r.wander *= 1 - 0.7*r.calm
		}
		return
	}
	e := s.episode
	quiet := e.quiet(t)
	if f.levels[atNearNormal] > 0 {
		quiet *= 1 - smooth(f.levels[atNearNormal]*3)
	}
	r.sigma = math.Pow(r.sigma, 1-quiet) * math.Pow(e.sigma, quiet)
	r.wander *= 1 - quiet*(1-e.wander)
	r.calm, r.hold = quiet*e.calm, e.quiet(t)
	r.drops = e.kind == DropOuts && quiet > 0.8
}

// strike applies an extinction or an electrode slip.
func (f *Furnace) strike(r *regime, t float64) {
	if n := f.events[atArcLost]; n.Seconds > 0 {
		r.lost, r.phase = t-n.At, phaseOf(n)
	}
	if n := f.events[atSlip]; n.Seconds > 0 {
		// The controller lifts the electrode back within half a minute.
		r.slip, r.phase = n.Strength*math.Exp(-(t-n.At)/10), phaseOf(n)
	}
}

// phaseOf derives from an event's time the phase that it affects.
func phaseOf(n Nuisance) int { return int(n.At*10) % 3 }
