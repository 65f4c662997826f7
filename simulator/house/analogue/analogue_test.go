package analogue_test

import (
	"testing"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/analogue"
	"meltwatch/simulator/house/housetest"
)

func TestCamera(t *testing.T) { housetest.Cameras(t, analogue.New) }

// BenchmarkCrop goes through melts and events, so that its mean is that of a data set.
func BenchmarkCrop(b *testing.B) {
	var cameras [16]house.Camera
	for i := range cameras {
		cameras[i] = analogue.New(house.Setting{Seed: uint64(i), SetPoint: 14000})
	}
	pixels, mask := make([]byte, 3*house.Side*house.Side), make([]byte, house.Side*house.Side)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		v := house.View{Time: float64(i/16) * 0.2, Light: 1, Turbulence: 1, Feeding: i%7 == 0}
		v.Spot = house.Spot{Episode: 1, Seed: 3, Growth: float64(i%100) / 100}
		if i%5 == 0 {
			v.Mist, v.Sparks, v.Ember, v.EmberX, v.EmberY = 0.5, 0.5, 0.5, 0.3, 0.6
		}
		cameras[i%16].Crop(v, pixels, mask)
		i++
	}
}
