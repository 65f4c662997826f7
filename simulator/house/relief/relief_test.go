package relief

import (
	"testing"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/housetest"
)

func TestCameras(t *testing.T) { housetest.Cameras(t, New) }

// still is the last of a few frames of a melt.
func still(seed uint64, change func(*house.View)) (p, mask []byte) {
	c := New(house.Setting{Seed: seed, SetPoint: 14000})
	p, mask = make([]byte, 3*pixels), make([]byte, pixels)
	for i := range 6 {
		v := house.View{Time: float64(i), Light: 1, Turbulence: 1}
		change(&v)
		c.Crop(v, p, mask)
	}
	return p, mask
}

func count(mask []byte) (n int) {
	for _, m := range mask {
		n += int(m)
	}
	return n
}

// bright is the mean grey level where mask is 1.
func bright(p, mask []byte) (sum float64) {
	for i, m := range mask {
		if m == 1 {
			sum += float64(int(p[3*i])+int(p[3*i+1])+int(p[3*i+2])) / 3 / float64(count(mask))
		}
	}
	return sum
}

func TestTheSpotGrowsInAreaAndBrightness(t *testing.T) {
	brighter := 0
	for seed := range uint64(8) {
		var last []byte
		var first float64
		for k, growth := range []float64{0.15, 0.4, 0.7, 1} {
			p, mask := still(seed, func(v *house.View) { v.Spot = house.Spot{Episode: 2, Seed: seed, Growth: growth} })
			for i, m := range last {
				if m == 1 && mask[i] == 0 && count(mask) < count(last) {
					t.Fatalf("seed %d: the spot shrinks from %d to %d pixels", seed, count(last), count(mask))
				}
			}
			switch now := bright(p, mask); {
			case k == 0:
				first = now
			case k == 3 && now > first+10:
				brighter++
			}
			last = mask
		}
	}
	if brighter < 6 {
		t.Errorf("the spot grows brighter in %d of 8 melts", brighter)
	}
}

func TestLookAlikesAreNotTheSign(t *testing.T) {
	for name, change := range map[string]func(*house.View){
		"ember":      func(v *house.View) { v.EmberX, v.EmberY, v.Ember = 0.4, 0.6, 1 },
		"mist":       func(v *house.View) { v.Mist = 1 },
		"sparks":     func(v *house.View) { v.Sparks = 1 },
		"passer":     func(v *house.View) { v.Passes, v.Passer = true, 0.5 },
		"overheated": func(v *house.View) { v.Overheated = 1 },
	} {
		changed := 0
		for seed := range uint64(4) {
			plain, _ := still(seed, func(*house.View) {})
			p, mask := still(seed, change)
			if n := count(mask); n != 0 {
				t.Errorf("%s: %d pixels are marked as a hot spot", name, n)
			}
			most := 0
			for i := range p {
				most = max(most, int(p[i])-int(plain[i]), int(plain[i])-int(p[i]))
			}
			if most > 40 {
				changed++
			}
		}
		if changed < 3 {
			t.Errorf("%s: shows in %d of 4 melts", name, changed)
		}
	}
}

func TestWhatStandsInFrontHidesTheSpot(t *testing.T) {
	spot := func(v *house.View) { v.Spot = house.Spot{Episode: 1, Seed: 3, Growth: 1} }
	_, open := still(8, spot)
	_, crusted := still(8, func(v *house.View) { spot(v); v.Spot.Cover = 0.6 })
	if count(crusted) >= count(open) || count(open) == 0 {
		t.Errorf("%d pixels in the open, %d under crust", count(open), count(crusted))
	}
	least := count(open)
	for x := range 8 {
		_, passed := still(8, func(v *house.View) { spot(v); v.Passes, v.Passer = true, float64(x)/8 })
		least = min(least, count(passed))
	}
	if least > count(open)*9/10 {
		t.Errorf("a worker hides none of %d pixels", count(open))
	}
}

func BenchmarkCrop(b *testing.B) {
	c := New(house.Setting{Seed: 1, SetPoint: 15000})
	p, mask := make([]byte, 3*pixels), make([]byte, pixels)
	b.ResetTimer()
	for i := range b.N {
		c.Crop(house.View{
			Time: float64(i) * 0.2, Light: 1, Turbulence: 1,
			Spot: house.Spot{Episode: 1, Seed: 5, Growth: 0.7},
		}, p, mask)
	}
}
