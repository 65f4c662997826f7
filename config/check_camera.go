package config

import (
	"time"
)

func (c Camera) check(f fault) {
	f.address("url", c.URL, "rtsp", "rtsps")
	f.lasting("timeout", c.Timeout, 500*time.Millisecond, time.Minute)
	f.lasting("stale_after", c.StaleAfter, 500*time.Millisecond, time.Minute)
	f.lasting("frozen_after", c.FrozenAfter, 500*time.Millisecond, time.Minute)
	f.lasting("black_after", c.BlackAfter, 500*time.Millisecond, time.Minute)
	crop := f.under("crop")
	crop.between("x", float64(c.Crop.X), 0, 16_384)
	crop.between("y", float64(c.Crop.Y), 0, 16_384)
	if c.Crop != (Crop{}) {
		crop.between("width", float64(c.Crop.Width), 16, 16_384)
		crop.between("height", float64(c.Crop.Height), 16, 16_384)
	}
	if c.PasswordFile != "" && c.Username == "" {
		f("username", "is missing though password_file is given")
	}
}
