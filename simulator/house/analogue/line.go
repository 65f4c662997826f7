package analogue

import "math"

// line is one line of video on its way through the cable.
type line struct {
	y, u, v   [side + 2*margin]float32
	even, odd float32 // way from a pixel to the next, of even and odd samples
	start     [2]int  // pixel of the first even and odd sample
	wire      [lead + samples + 2]float32
	cu, cv    [samples]float32
	fine      [samples]float32
}

// take copies a row with its ends drawn out and notes where jitter makes it start.
func (l *line) take(s *composite, from int, shift float32) {
	for _, p := range [3]struct {
		to   *[side + 2*margin]float32
		from []float32
	}{{&l.y, s.y[from:][:side]}, {&l.u, s.u[from:][:side]}, {&l.v, s.v[from:][:side]}} {
		copy(p.to[margin:], p.from)
		for i := range margin {
			p.to[i], p.to[margin+side+i] = p.from[0], p.from[side-1]
		}
	}
	a, b := margin-0.25+shift, margin+0.25+shift
	l.start = [2]int{int(a), int(b)}
	l.even, l.odd = a-float32(int(a)), b-float32(int(b))
}

// limit band-limits chroma as the coder does, with a low-pass run both ways.
func (l *line) limit(share float32) {
	u, v := l.u[0], l.v[0]
	for i := range l.u {
		u += share * (l.u[i] - u)
		v += share * (l.v[i] - v)
		l.u[i], l.v[i] = u, v
	}
	for i := len(l.u) - 1; i >= 0; i-- {
		u += share * (l.u[i] - u)
		v += share * (l.v[i] - v)
		l.u[i], l.v[i] = u, v
	}
}

// rotate turns chroma to the subcarrier's phase on this line; PAL swings V from line to
// line.
func (l *line) rotate(phase float64, swing float32) {
	sin, cos := math.Sincos(phase)
	s, c := float32(sin), float32(cos)
	for i, u := range l.u {
		v := swing * l.v[i]
		l.u[i], l.v[i] = u*c-v*s, u*s+v*c
	}
}

// send puts the line on the cable: luma, subcarrier, hum and noise, then loss and echo.
func (l *line) send(s *composite, hum, noise float32, at int, sine, cosine *[samples]float32) {
	wire := &l.wire
	hiss := (*[samples]float32)(s.hiss[at:])
	for half, f := range [2]float32{l.even, l.odd} {
		y := l.y[l.start[half]:][:side+1]
		u, v := l.u[l.start[half]:][:side+1], l.v[l.start[half]:][:side+1]
		for i := range side {
			n := 2*i + half
			w := y[i] + (y[i+1]-y[i])*f + noise*hiss[n] + hum
			if sine != nil {
				w += (u[i]+(u[i+1]-u[i])*f)*sine[n] + (v[i]+(v[i+1]-v[i])*f)*cosine[n]
			}
			wire[lead+n] = w
		}
	}
	edge := l.y[0] + hum
	for i := range lead {
		wire[i] = edge
	}
	if s.loss > 0 {
		last := edge
		for i := lead; i < lead+samples; i++ {
			last = wire[i] + s.loss*(last-wire[i])
			wire[i] = last
		}
	}
	if s.ghost != 0 {
		scale := 1 / (1 + s.ghost)
		for i := lead + samples - 1; i >= lead; i-- {
			wire[i] = (wire[i] + s.ghost*wire[i-s.delay]) * scale
		}
	}
	wire[lead+samples], wire[lead+samples+1] = wire[lead+samples-2], wire[lead+samples-1]
}

// plain is a monochrome monitor's line: no subcarrier to remove.
func (l *line) plain(y []float32) {
	for i := range y {
		y[i] = 0.5 * (l.wire[lead+2*i] + l.wire[lead+2*i+1])
	}
}

// decode takes the band around the subcarrier down to U and V and limits their bandwidth
// with a low-pass run both ways, which delays nothing.
func (l *line) decode(s *composite) {
	// The band-pass's gain at the subcarrier is 1 − cos 2ω.
	c2 := s.cosine[2]
	gain := 2 / (1 - c2)
	u, v := float32(0), float32(0)
	wire := (*[samples + 4]float32)(l.wire[lead-2:])
	for n := range samples {
		b := gain * (wire[n+2] - 0.5*(wire[n]+wire[n+4]))
		u += s.band * (b*s.sine[n] - u)
		v += s.band * (b*s.cosine[n] - v)
		l.cu[n], l.cv[n] = u, v
	}
	for n := samples - 1; n >= 0; n-- {
		u += s.band * (l.cu[n] - u)
		v += s.band * (l.cv[n] - v)
		l.cu[n], l.cv[n] = u, v
		l.fine[n] = wire[n+2] - s.notch*(u*s.sine[n]+v*s.cosine[n])
	}
}

// split samples luma and chroma back to pixels and undoes the rotation.
func (l *line) split(s *composite, y, u, v []float32, phase float64, swing float32, a, b int) {
	sin, cos := math.Sincos(phase)
	si, co := float32(sin)*s.burst, float32(cos)*s.burst
	first, second := s.murmur[a:][:side], s.murmur[b:][:side]
	for i := range y[:side] {
		y[i] = 0.5 * (l.fine[2*i] + l.fine[2*i+1])
		cu, cv := l.cu[2*i], l.cv[2*i]
		u[i] = cu*co + cv*si + s.chromaNoise*first[i]
		v[i] = swing*(cv*co-cu*si) + s.chromaNoise*second[i]
	}
}
