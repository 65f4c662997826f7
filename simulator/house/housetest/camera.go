package housetest

import (
	"bytes"
	"testing"

	"meltwatch/simulator/house"
)

const pixels = house.Side * house.Side

// Cameras checks a family of pictures: the spot appears where the mask says, grows from
// almost nothing to 1–6 % of the crop, stays in place, can be hidden, and changes the
// picture; melts differ; the same seed gives the same pictures.
func Cameras(t *testing.T, make func(house.Setting) house.Camera) {
	t.Run("the spot grows and stays in place", func(t *testing.T) {
		visible := 0
		for seed := range uint64(20) {
			small, large := film(make, seed, grown(0.1)), film(make, seed, grown(1))
			a, b := sum(small.mask), sum(large.mask)
			if b < pixels/100*6/10 || b > pixels*7/100 {
				t.Errorf("seed %d: fully grown the spot covers %d of %d pixels", seed, b, pixels)
			}
			if a > b/2 {
				t.Errorf("seed %d: a tenth grown it covers %d pixels, fully %d", seed, a, b)
			}
			none := film(make, seed, grown(0))
			if contrast(large, none) > 20 {
				visible++
			}
			if outside := contrastOutside(large, none); outside > 60 {
				t.Errorf("seed %d: the picture beyond the spot changes by %.0f grey levels", seed, outside)
			}
		}
		if visible < 15 {
			t.Errorf("a fully grown spot changes its pixels in %d of 20 melts", visible)
		}
	})
	t.Run("a covered spot cannot be seen", func(t *testing.T) {
		covered := func(v house.View) house.View {
			v = grown(1)(v)
			v.Spot.Cover = 1
			return v
		}
		if n := sum(film(make, 4, covered).mask); n != 0 {
			t.Errorf("%d pixels of a hidden spot are marked as seen", n)
		}
	})
	t.Run("melts differ, and the same seed gives the same pictures", func(t *testing.T) {
		a, b, c := film(make, 1, grown(0.5)), film(make, 1, grown(0.5)), film(make, 2, grown(0.5))
		if !bytes.Equal(a.pixels, b.pixels) || bytes.Equal(a.pixels, c.pixels) {
			t.Error("not reproducible, or two melts look the same")
		}
	})
	t.Run("every view can be drawn", func(t *testing.T) {
		camera := make(house.Setting{Seed: 5, SetPoint: 12000})
		p := [3 * pixels]byte{}
		for i := range 600 {
			v := busy(float64(i))
			camera.Crop(v, p[:], nil)
		}
	})
}

type still struct{ pixels, mask []byte }

// film shows a melt for 30 s, the last frame of which counts.
func film(create func(house.Setting) house.Camera, seed uint64, change func(house.View) house.View) still {
	camera := create(house.Setting{Seed: seed, SetPoint: 14000})
	s := still{make([]byte, 3*pixels), make([]byte, pixels)}
	for i := range 31 {
		camera.Crop(change(house.View{Time: float64(i), Light: 1, Turbulence: 1}), s.pixels, s.mask)
	}
	return s
}

func grown(share float64) func(house.View) house.View {
	return func(v house.View) house.View {
		if share > 0 {
			v.Spot = house.Spot{Episode: 1, Seed: 77, Growth: share}
		}
		return v
	}
}

// busy is a view in which much happens at once.
func busy(t float64) house.View {
	wave := func(period float64) float64 { return t/period - float64(int(t/period)) }
	return house.View{
		Time: t, Light: min(1, wave(200)*4), Turbulence: 3 * wave(7), Feeding: wave(90) < 0.3, Exhaust: wave(130) < 0.2,
		Spot:   house.Spot{Episode: int(t / 300), Seed: uint64(t / 300), Growth: wave(300), Cover: wave(50)},
		EmberX: wave(11), EmberY: wave(17), Ember: wave(23), Mist: wave(31), Sparks: wave(13),
		Exposure: 2*wave(61) - 1, Passer: 2*wave(19) - 0.5, Passes: wave(57) < 0.3, Overheated: wave(141),
	}
}

func sum(mask []byte) (n int) {
	for _, m := range mask {
		n += int(m)
	}
	return n
}

// contrast is the mean absolute change of the largest changed channel where a's mask is 1.
func contrast(a, b still) float64 { return difference(a, b, 1) }

// contrastOutside is the same beyond the mask.
func contrastOutside(a, b still) float64 { return difference(a, b, 0) }

func difference(a, b still, where byte) float64 {
	total, count := 0.0, 0
	for i, m := range a.mask {
		if m != where {
			continue
		}
		most := 0
		for c := range 3 {
			d := int(a.pixels[3*i+c]) - int(b.pixels[3*i+c])
			most = max(most, d, -d)
		}
		total += float64(most)
		count++
	}
	if count == 0 {
		return 0
	}
	return total / float64(count)
}
