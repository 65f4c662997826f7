package metal

import (
	"testing"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/housetest"
)

func TestCameras(t *testing.T) { housetest.Cameras(t, New) }

// BenchmarkCrop holds a crop to its budget of 0.4 ms.
func BenchmarkCrop(b *testing.B) {
	camera := New(house.Setting{Seed: 1, SetPoint: 14000})
	pixels, mask := make([]byte, 3*side*side), make([]byte, side*side)
	for i := range b.N {
		camera.Crop(house.View{
			Time: float64(i) * 0.2, Light: 1, Turbulence: 1, Mist: 0.3, Sparks: 0.3,
			Spot: house.Spot{Episode: 1, Seed: 1, Growth: 0.8},
		}, pixels, mask)
	}
}

// BenchmarkNew holds the start of a melt to its budget of 30 ms.
func BenchmarkNew(b *testing.B) {
	for i := range b.N {
		New(house.Setting{Seed: uint64(i), SetPoint: 14000})
	}
}
