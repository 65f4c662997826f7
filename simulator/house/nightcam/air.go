package nightcam

import (
	"math"

	"meltwatch/simulator/house"
)

// drawFlame draws the flame over the mouth, which hides what is behind it.
func (c *Camera) drawFlame(v house.View) {
	if v.Light <= 0 || c.flame <= 0.01 {
		return
	}
	height := c.flameHeight * min(c.flame, 3.5)
	lick := c.time * 1.7
	for i := range area {
		down := c.shell.down[i]
		// Tongues stand above the rim and hang a little over it.
		if down > 0.35*height || math.Abs(c.shell.round[i]) > 1.05 {
			continue
		}
		x, _ := place(i)
		tongue := c.grain.at(1.4*x+0.2*lick, 0.8*down+lick)
		bright := ramp(tongue+0.5*(1+down/(3*height+0.01))-1.1*max(down, 0)/height, 0.45, 0.95)
		for b := range c.bands {
			c.light[b][i] = c.light[b][i]*(1-0.6*bright) + 5*bright*v.Light*fireColour[c.mode][b]
		}
		c.clear[i] *= 1 - 0.6*bright
	}
}

// drawPasser draws a worker in front of the shell. Stripes on the clothes throw the
// diodes' light straight back.
func (c *Camera) drawPasser(v house.View) {
	if !v.Passes {
		return
	}
	bob := 0.01 * math.Sin(9*c.time)
	w := c.passerWidth
	for i := range area {
		x, y := place(i)
		dx, dy := (x-v.Passer)/w, (y-c.passerHead-bob)/w
		if math.Abs(dx) > 0.8 {
			continue
		}
		head := math.Hypot(dx, dy-0.25) < 0.28
		shoulder := 0.5 * math.Sqrt(ramp(dy, 0.45, 0.75))
		body := dy > 0.5 && math.Abs(dx) < shoulder
		if dy > 2.4 { // legs, apart and together
			stride := 0.22 * math.Sin(4.5*c.time)
			body = math.Abs(dx-stride) < 0.18 || math.Abs(dx+stride) < 0.18
		}
		if !head && !body {
			continue
		}
		lit := 1.4*c.shell.beam[i] + 0.7*c.ambient
		stripe := body && math.Abs(dy-1.75+0.2*dx*dx) < 0.09
		if c.passerBraces {
			stripe = stripe || (body && dy < 1.75 && math.Abs(math.Abs(dx)-0.25) < 0.07)
		} else {
			stripe = stripe || (body && math.Abs(dy-1.3+0.2*dx*dx) < 0.09)
		}
		for b := range c.bands {
			c.light[b][i] = c.passerAlbedo * lit * (0.7 + 0.5*c.grain.at(x-v.Passer, y))
			if stripe {
				c.light[b][i] += c.passerStripes * (c.shell.beam[i] + 0.05*c.daylight*c.door)
			}
		}
		c.spotGlow[i], c.inSpot[i] = 0, false
	}
}

// drawAir lays mist and dust between lens and shell. Both return the diodes' light, the
// more the nearer they are to the beam's middle.
func (c *Camera) drawAir(v house.View) {
	mist, dust := clip(v.Mist, 0, 1), c.dust*c.dustVeil
	if mist < 0.01 && dust < 0.005 {
		return
	}
	rise, drift := c.time*c.mistSpeed, c.time*c.mistDrift
	thin := 1.02 - 0.8*mist
	flash := 0.06 * c.dice.NormFloat64() * c.dust
	for i := range area {
		x, y := place(i)
		haze := 0.0
		if mist > 0 {
			cloud := 0.6*c.grain.at(0.6*x+drift, c.mistHeight*0.6*y+rise) + 0.4*c.grain.at(1.5*x-drift, 1.5*y+1.6*rise)
			haze = min(0.25*mist+0.9*ramp(cloud, thin-0.12, thin+0.3), 0.97) * min(1, 4*mist)
		}
		veil := dust * (0.6 + 0.8*c.grain.at(0.4*x-0.6*drift, 0.4*y-0.3*rise))
		fire := 0.5 * c.flame * c.flameLight * c.shell.fire[i]
		source := c.shell.beam[i] + c.ambient + 0.7*c.daylight*c.door*c.shell.door[i]
		clear := (1 - haze) * (1 - veil)
		for b := range c.bands {
			back := source + fire*fireColour[c.mode][b]
			c.light[b][i] = c.light[b][i]*clear + back*(0.75*haze+(0.5+flash)*veil)
		}
		c.clear[i] *= clear
	}
}

// drawSpecks draws what flashes by for one frame: dust and insects near the lens, which
// are out of focus and bright in the diodes' light, and sparks.
func (c *Camera) drawSpecks(v house.View) {
	flecks := c.dice.count(c.dust * c.dustFlecks * 0.4)
	for range flecks {
		c.streak(c.dice.between(0, 1), c.dice.between(0, 1), c.dice.between(0, 0.05), c.dice.between(0, 7), c.dice.between(0.4, 2.2), c.dice.logBetween(0.1, 1.2)*c.beamLevel)
	}
	if c.dice.chance(1 - math.Exp(-c.insects*min(c.dt, 2))) {
		c.streak(c.dice.between(0, 1), c.dice.between(0, 1), c.dice.between(0.03, 0.4), c.dice.between(0, 7), c.dice.between(0.7, 2.8), c.dice.logBetween(0.4, 2.5)*(c.beamLevel+0.1))
	}
	for range c.dice.count(22 * clip(v.Sparks, 0, 1)) {
		down := c.dice.between(0.6, 2.5) // mostly downwards, radians
		c.streak(c.dice.between(-0.05, 1.05), c.dice.between(-0.05, 1), c.dice.logBetween(0.015, 0.16), down, c.dice.between(0.35, 0.8), c.dice.logBetween(0.7, 6))
	}
}

// streak draws a blurred line of light from a point on; width in pixels.
func (c *Camera) streak(x, y, length, direction, width, level float64) {
	sin, cos := math.Sincos(direction)
	steps := int(length*house.Side/max(width, 0.7)) + 1
	reach := int(2*width) + 1
	for k := range steps {
		at := length * float64(k) / float64(steps)
		middle := pixel(x+at*cos, y+at*sin)
		if middle < 0 {
			continue
		}
		cx, cy := (x+at*cos)*house.Side, (y+at*sin)*house.Side
		for j := -reach; j <= reach; j++ {
			for i := -reach; i <= reach; i++ {
				row, col := middle/wide+j, middle%wide+i
				if row < 0 || col < 0 || row >= wide || col >= wide {
					continue
				}
				out := math.Hypot(float64(col-margin)+0.5-cx, float64(row-margin)+0.5-cy) / width
				if add := level * math.Exp(-out*out); add > 0.01 {
					for b := range c.bands {
						c.light[b][row*wide+col] += add * fireColour[c.mode][b]
					}
				}
			}
		}
	}
}
