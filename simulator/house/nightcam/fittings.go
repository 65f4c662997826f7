package nightcam

import "math"

// fit adds welds, ribs with bolts, water pipes and a hose.
func (s *shell) fit(d dice, g grain) {
	for range d.IntN(4) {
		s.weld(d, g, d.chance(0.5))
	}
	if d.chance(0.55) {
		s.ribs(d, d.chance(0.6))
	}
	for range d.IntN(3) {
		s.pipe(d, g, d.chance(0.65))
	}
	s.rimEdge(d)
}

// across is the coordinate that a fitting's line crosses, and the one along it.
func (s *shell) across(i int, upright bool) (over, length float64) {
	if upright {
		return s.along[i], s.down[i]
	}
	return s.down[i], s.along[i]
}

// weld is a ripply bead with a dark side of burnt scale.
func (s *shell) weld(d dice, g grain, upright bool) {
	at, width, wave := d.between(-0.45, 0.9), d.between(0.007, 0.016), d.between(0, 0.04)
	bright := d.between(1.1, 1.9)
	for i := range area {
		if !s.on[i] {
			continue
		}
		over, length := s.across(i, upright)
		off := over - at - wave*(g.at(length*0.5, at)-0.5)
		s.shade(i, 1+(bright-1)*ramp(math.Abs(off), width, 0.3*width)*(0.6+0.8*g.at(5*length, at)))
		s.shade(i, 1-0.5*ramp(math.Abs(off-2*width), 1.5*width, 0.5*width))
	}
}

// ribs are flat bars that stand out of the shell, lit on one side, with a shadow on the
// other and sometimes a row of bolts.
func (s *shell) ribs(d dice, upright bool) {
	first, pitch, width := d.between(-0.5, 0.2), d.between(0.22, 0.6), d.between(0.02, 0.06)
	lit, bolts := d.between(1.05, 1.5), d.chance(0.4)
	boltPitch := d.between(0.06, 0.14)
	for i := range area {
		if !s.on[i] {
			continue
		}
		over, length := s.across(i, upright)
		off := over - first
		off -= pitch * math.Round(off/pitch)
		switch {
		case math.Abs(off) < width/2:
			s.shade(i, lit)
			s.wet[i] *= 0.3
			along := length - boltPitch*math.Round(length/boltPitch)
			if bolts && math.Hypot(off, along) < 0.014 {
				s.coat(i, steel, 0.8)
				s.shiny[i] = 0.8
			}
		case math.Abs(off-width*0.8) < width*0.3:
			s.shade(i, 0.55)
		}
	}
}

// pipe is a water pipe or a hose in front of the shell, on which no spot can be seen.
func (s *shell) pipe(d dice, g grain, level bool) {
	at, width, bow := d.between(0, 0.95), d.between(0.025, 0.07), d.between(-0.12, 0.12)
	m := paint
	switch d.IntN(3) {
	case 0:
		m = steel
	case 1:
		m = rust
	}
	hang := d.between(0.3, 0.7)
	for i := range area {
		x, y := place(i)
		if level {
			x, y = y, x
		}
		off := (x - at - bow*(4*(y-hang)*(y-hang))) / (width / 2)
		switch {
		case math.Abs(off) < 1:
			round := math.Sqrt(1 - off*off)
			s.on[i], s.facing[i] = false, 0.4+0.6*round
			s.coat(i, m, 1)
			s.shade(i, (0.25+0.75*round)*(0.7+0.5*g.at(2*x, 2*y)))
			s.wet[i] = 0
			s.shiny[i] = 0.7 * ramp(math.Abs(off+0.3), 0.3, 0.05)
		case off > 1 && off < 1.9:
			s.shade(i, 0.5+0.5*ramp(off, 1, 1.9))
		}
	}
}

// rimEdge is the thickened upper edge of the shell, often crusted with lime.
func (s *shell) rimEdge(d dice) {
	height, crusted := d.between(0.015, 0.05), d.Float64()
	for i := range area {
		if s.on[i] && s.down[i] < height {
			s.coat(i, lime, crusted*d.between(0.2, 0.9))
		} else if s.on[i] && s.down[i] < 1.5*height {
			s.shade(i, 0.6)
		}
	}
}

// light spreads the diodes' beam, the door's daylight and the flame's light over the
// scene, and finds where surfaces throw the beam straight back.
func (s *shell) light(d dice, g grain) {
	mirror, narrow := d.between(-0.35, 0.35), d.between(0.08, 0.3)
	wetGleam, metalGleam := d.between(0.15, 0.8), d.between(0.1, 0.6)
	reach, far := d.between(0.2, 0.5), d.between(0.15, 0.6)
	ox := d.Float64()
	for i := range area {
		x, y := place(i)
		out := math.Hypot(x-s.beamX, y-s.beamY) / s.beamWidth
		uneven := 0.85 + 0.3*g.at(0.5*x+ox, 0.5*y)
		s.beam[i] = s.beamLevel * uneven * (s.beamFloor + (1-s.beamFloor)*math.Exp(-out*out))
		side := x
		if s.doorSide > 0 {
			side = 1 - x
		}
		s.door[i] = math.Exp(-max(side, 0)/s.doorReach) * (0.4 + 0.6*clip(0.5-s.doorSide*-s.round[i], 0, 1))
		s.fire[i] = math.Exp(-max(s.down[i], 0) / reach)
		if !s.on[i] && s.facing[i] == 0.5 {
			s.beam[i] *= far // the wall is further away
			s.fire[i] *= 0.5
			continue
		}
		s.beam[i] *= 0.3 + 0.7*s.facing[i]
		off := (s.round[i] - mirror) / narrow
		line := math.Exp(-off * off)
		ripple := ramp(g.at(4*s.along[i]+ox, 1.5*s.down[i]), 0.55, 0.95)
		s.gleam[i] = s.wet[i]*wetGleam*(0.1+line)*(0.15+ripple) + s.shiny[i]*metalGleam*(0.1+0.9*line)*(0.5+0.5*ripple)
	}
}
