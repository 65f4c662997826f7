package scene

import (
	"image"
	"testing"

	"meltwatch/simulator/furnace"
)

func BenchmarkCrop(b *testing.B) {
	seed := uint64(3)
	bt := furnace.NewBatch(seed, seed)
	f := furnace.New(furnace.Draw(furnace.Mixed, 36000, seed, seed, seed), bt, seed, seed)
	s := New(bt)
	px := make([]byte, 3*Side*Side)
	mask := make([]byte, Side*Side)
	i := 0
	for b.Loop() {
		s.Crop(f.AdvanceTo(float64(i%36000)), px, mask)
		i++
	}
}

func BenchmarkFull(b *testing.B) {
	seed := uint64(3)
	bt := furnace.NewBatch(seed, seed)
	f := furnace.New(furnace.Draw(furnace.Mixed, 36000, seed, seed, seed), bt, seed, seed)
	s := New(bt)
	pic := image.NewYCbCr(image.Rect(0, 0, Width, Height), image.YCbCrSubsampleRatio420)
	s.Full(f.State(), pic)
	for b.Loop() {
		s.Full(f.State(), pic)
	}
}
