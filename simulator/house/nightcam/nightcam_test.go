package nightcam_test

import (
	"testing"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/housetest"
	"meltwatch/simulator/house/nightcam"
)

func TestCamera(t *testing.T) { housetest.Cameras(t, nightcam.New) }

func BenchmarkCrop(b *testing.B) {
	c := nightcam.New(house.Setting{Seed: 1, SetPoint: 14_000})
	pixels, mask := make([]byte, 3*house.Side*house.Side), make([]byte, house.Side*house.Side)
	for i := range b.N {
		v := house.View{Time: float64(i) * 0.5, Light: 1, Turbulence: 1, Mist: 0.5, Feeding: true}
		v.Spot = house.Spot{Episode: 1, Seed: 3, Growth: 0.7}
		c.Crop(v, pixels, mask)
	}
	b.ReportAllocs()
}
