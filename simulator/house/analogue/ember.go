package analogue

import "meltwatch/simulator/house"

// addEmber puts a cinder on the shell: hot as a spot, and small.
func (c *camera) addEmber(v house.View) {
	if v.Ember <= 0 {
		return
	}
	const box = 7
	cx, cy := float32(v.EmberX)*side, float32(v.EmberY)*side
	hottest := c.first + (c.kelvin(c.emberRatio)-c.first)*float32(v.Ember)
	for y := max(0, int(cy)-box); y < min(side, int(cy)+box); y++ {
		for x := max(0, int(cx)-box); x < min(side, int(cx)+box); x++ {
			i := y*side + x
			dx, dy := (float32(x)+0.5-cx)*c.emberStretch, (float32(y)+0.5-cy)/c.emberStretch
			d := sqrt(dx*dx+dy*dy) / c.emberRadius * (0.8 + 0.5*c.emissivity[i])
			g := c.radiance(roomTemp + (hottest-roomTemp)*exp(-0.08*d*d))
			f := c.emissivity[i] * c.open[i] * min(1, 4*float32(v.Ember))
			for b := range 3 {
				c.light[i][b] += f * g[b]
			}
		}
	}
}
