package pinhole

import "math"

const (
	half, quarter = side / 2, side / 4 // of the coarse colour's picture, of the glare's
	toneSteps     = 2048
	toneTop       = 2.0 // square root of the light at which the tone table ends
	grains        = 1 << 13
	meterTop      = 4.0 // radiance above which the meter does not look
)

// lens is the cheap camera: what it does to linear light.
type lens struct {
	veil, bloom                     float64 // share of the mean, and of bright places around
	target, zeal, slow              float64 // exposure's aim, how far it goes, seconds it takes
	gain, base, pushed              float64 // logarithm; stops; stops of a full push
	grey, vignette                  float64 // how far white balance goes; loss in the corners
	balance, cast, cold, hot        vec     // now, always, of a full push to dark and to white
	shot, read, stain, sharp, vivid float64 // noise of light, sensor, colour; halos; saturation
	tone                            [toneSteps + 1]float64
	grain                           [grains]float64
	luma                            [pixels]float64
	red, blue                       [half * half]float64
	glare                           [quarter * quarter]vec
}

func newLens(r dice) lens {
	l := lens{
		veil: 0.25 * math.Pow(r.Float64(), 2), bloom: r.in(0.02, 0.3), target: r.in(0.16, 0.42), zeal: r.in(0.45, 0.95),
		slow: r.in(0.5, 2), base: 0.45 * r.NormFloat64(), pushed: r.in(1, 2.3), grey: r.in(0, 0.75), vignette: r.in(0, 0.2),
		cast: vec{r.in(0.8, 1.2), 1, r.in(0.75, 1.25)}, cold: vec{r.in(0.6, 1), 0.9, r.in(1, 1.6)},
		hot: vec{r.in(1, 1.3), r.in(0.95, 1.1), r.in(0.5, 1)}, shot: math.Exp(r.in(-5.3, -3.6)), read: r.in(0.002, 0.01),
		stain: r.in(0.3, 3), sharp: r.in(0, 0.9), vivid: r.in(0.5, 1.3),
	}
	if r.Float64() < 0.07 {
		l.vivid = 0.05 // a camera for the night
	}
	gamma, soft, black := r.in(0.4, 0.62), r.Float64(), r.in(-6, 14)
	for i := range l.tone {
		v := math.Pow(float64(i)*toneTop/toneSteps, 2)
		v = soft*v*(1+v/9)/(1+0.8*v) + (1-soft)*min(v, 1)
		l.tone[i] = black + (255-black)*math.Pow(min(v, 1), gamma)
	}
	for i := range l.grain {
		l.grain[i] = r.NormFloat64()
	}
	return l
}

// develop turns linear light into bytes; exposure and white balance follow slowly.
func (l *lens) develop(r dice, in *[pixels]vec, out []byte, push, dt float64) {
	mean := l.scatter(in)
	bright := max(mean.luma(), 1e-3)
	even := vec{bright / max(mean.x, 0.3*bright), bright / max(mean.y, 0.3*bright), bright / max(mean.z, 0.2*bright)}
	k := 1 - math.Exp(-dt/l.slow)
	l.gain += (math.Log(l.target) - l.zeal*math.Log(bright) - l.gain) * k
	l.balance = l.balance.mix(white.mix(even, l.grey), k)
	tint := l.balance.times(l.cast).times(white.mix(l.cold, max(-push, 0))).times(white.mix(l.hot, max(push, 0)))
	l.expose(r, in, tint.scale(math.Exp(l.gain+math.Ln2*(l.base+push*l.pushed))), math.Exp(-0.5*push))
	l.encode(out)
}

// scatter adds the light that the lens strews, far and near, and returns what the meter sees.
func (l *lens) scatter(in *[pixels]vec) (metered vec) {
	var all vec
	l.glare = [quarter * quarter]vec{}
	for i, p := range in {
		g := &l.glare[i/side/4*quarter+i%side/4]
		*g = g.add(p.scale(1.0 / 16))
	}
	for i, p := range l.glare {
		x, y := i%quarter-quarter/2, i/quarter-quarter/2
		metered = metered.add(p.dim(meterTop).scale(2.2 / (1 + 0.04*float64(x*x+y*y)) / (quarter * quarter)))
		l.glare[i] = p.dim(3 * meterTop)
		all = all.add(l.glare[i].scale(1.0 / (quarter * quarter)))
	}
	for _, way := range [2]int{1, -1} { // smear it there and back, across and down
		for n := quarter + 1; n < len(l.glare); n++ {
			i := n
			if way < 0 {
				i = len(l.glare) - 1 - n
			}
			if n%quarter > 0 { // not over the edge, from either end
				l.glare[i] = l.glare[i].mix(l.glare[i-way], 0.3)
			}
			l.glare[i] = l.glare[i].mix(l.glare[i-way*quarter], 0.3)
		}
	}
	for i, p := range in {
		x, y := min(max(float64(i%side)/4-0.375, 0), quarter-1.01), min(max(float64(i/side)/4-0.375, 0), quarter-1.01)
		g, fx, fy := l.glare[int(y)*quarter+int(x):], x-math.Floor(x), y-math.Floor(y)
		near := g[0].mix(g[1], fx).mix(g[quarter].mix(g[quarter+1], fx), fy)
		in[i] = p.mix(near, l.bloom).add(all.scale(l.veil))
	}
	return metered
}

// expose makes noisy luma of every pixel and colour of every second one.
func (l *lens) expose(r dice, in *[pixels]vec, gain vec, noisy float64) {
	offset := r.IntN(grains)
	for i := range l.red {
		l.red[i] = l.stain * noisy * l.grain[(offset+7*i)%grains]
		l.blue[i] = l.stain * noisy * l.grain[(offset+7*i+3)%grains]
	}
	for i, p := range in {
		x, y := i%side-half, i/side-half
		p = p.times(gain).scale(1 - l.vignette*float64(x*x+y*y)/(half*half))
		var shown [3]float64
		for c, v := range [3]float64{p.x, p.y, p.z} {
			v += (l.read + l.shot*v/(0.1+v)) * noisy * l.grain[(offset+3*i+c)%grains]
			shown[c] = l.tone[min(int(math.Sqrt(max(v, 0))*(toneSteps/toneTop)), toneSteps)]
		}
		at := i/side/2*half + i%side/2
		l.luma[i] = vec{shown[0], shown[1], shown[2]}.luma()
		l.red[at] += (shown[0] - l.luma[i]) / 4
		l.blue[at] += (shown[2] - l.luma[i]) / 4
	}
}

// encode sharpens the luma and joins it with the coarse colour, which reaches over a little.
func (l *lens) encode(out []byte) {
	for i, v := range l.luma {
		x, y := i%side, i/side
		at := y/2*half + x/2
		across, down := at, at
		if x > 0 && y > 0 && x < side-1 && y < side-1 {
			v += l.sharp * (v - (l.luma[i-1]+l.luma[i+1]+l.luma[i-side]+l.luma[i+side])/4)
			across, down = at+x%2*2-1, at+(y%2*2-1)*half
		}
		red := l.vivid * (2*l.red[at] + l.red[across] + l.red[down]) / 4
		blue := l.vivid * (2*l.blue[at] + l.blue[across] + l.blue[down]) / 4
		for c, shown := range [3]float64{v + red, v - (0.3*red+0.11*blue)/0.59, v + blue} {
			out[3*i+c] = byte(min(max(shown+0.5, 0), 255))
		}
	}
}
