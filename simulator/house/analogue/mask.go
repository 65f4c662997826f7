package analogue

// markSpot marks the pixels within the rim whose glow moves the camera's tone by at least
// a few grey levels. Glow behind a passer, in thick mist or where the picture is white
// already cannot be seen.
func (c *camera) markSpot(inside int, mask []byte) {
	if mask == nil {
		return
	}
	clear(mask)
	const visible = 4.0 / 255
	for k, i := range c.spot.pixel[:min(inside, len(c.spot.pixel))] {
		g, total := c.spot.glow[k], c.light[i]
		with, without := colour{}, colour{}
		for b := range 3 {
			gain := c.iris.gain[b]
			with[b] = c.iris.tone(gain * total[b])
			without[b] = c.iris.tone(gain * max(0, total[b]-g[b]*c.through[i]))
		}
		change := max(with[0]-without[0], with[1]-without[1], with[2]-without[2])
		if c.monochrome {
			change = with.luma() - without.luma()
		}
		if change > visible {
			mask[i] = 1
		}
	}
}

// shift moves the mask as the vibration moved the picture.
func shift(mask []byte, dx, dy int) {
	if mask == nil || dx == 0 && dy == 0 {
		return
	}
	var moved [area]byte
	for y := range side {
		for x := range side {
			moved[y*side+x] = mask[clamp(y+dy)*side+clamp(x+dx)]
		}
	}
	copy(mask, moved[:])
}
