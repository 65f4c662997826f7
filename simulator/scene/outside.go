package scene

import (
	"math"

	"meltwatch/simulator/furnace"
)

// survey notes the cells that show the hall, of those outside the crop.
func (c *canvas) survey(s shell) {
	for n := range c.dirt {
		cx, cy := c.area.x+n%c.area.w, c.area.y+n/c.area.w
		if cx >= 0 && cy >= 0 && cx < Side && cy < Side {
			continue
		}
		x, y := s.posed((float64(cx)+0.5)/Side, (float64(cy)+0.5)/Side)
		if y < rim || math.Abs(x-0.5) > halfShell {
			c.hall = append(c.hall, n)
		}
	}
}

// flame draws the fire at the mouth. Only the whole picture reaches up there:
// the crop has no flame, and what it shows of one is its light on the shell.
func (c *canvas) flame(p furnace.Picture, s shell, lick *smoke) {
	height := 0.32 * p.Flame * p.Light
	if height < 0.01 {
		return
	}
	for row := 0; row < min(-c.area.y, c.area.h); row++ {
		for col := range c.area.w {
			x, y := s.posed((float64(c.area.x+col)+0.5)/Side, (float64(c.area.y+row)+0.5)/Side)
			above, side := rim-y, math.Abs(x-0.5)/halfShell
			if above < 0 || side > 0.97 {
				continue
			}
			curl := float64(lick.at(4*(col+c.area.x), 2*row+int(p.Stir*90)))
			red, green, blue := fire(above, height*tongues(x, side), curl)
			n := row*c.area.w + col
			c.glow[0][n] += red
			c.glow[1][n] += green
			c.glow[2][n] += blue
		}
	}
}

// tongues is how high the fire reaches at x: highest around the electrodes,
// where the arcs burn, and low at the shell's edge.
func tongues(x, side float64) float64 {
	reach := 0.30
	for i, at := range electrodes {
		d := (x - at) / 0.13
		reach += (0.75 - 0.1*float64(i%2)) * math.Exp(-d*d)
	}
	return reach * (1 - math.Pow(side, 6))
}

// fire is the glow at a height above the rim of a tongue of the given height:
// yellow-white at its foot, orange, and dark red where it tears off.
func fire(above, height, curl float64) (red, green, blue float32) {
	const bed = 0.018 // the charge itself glows
	share := above / max(height, bed)
	body := smooth((1.15 - share + 1.5*(curl-0.5)) / 0.8)
	foot := smooth(1 - 1.4*share)
	embers := smooth(1 - above/bed)
	red = float32(1.1*body + 0.5*foot*body + 0.7*embers)
	green = float32(0.42*body*body + 0.55*foot*body + 0.22*embers)
	blue = float32(0.05*body*body + 0.45*foot*foot*body)
	return red, green, blue
}
