package scene

import "math"

// hash mixes a lattice point into a number in [0, 1).
func hash(x, y int32, seed uint32) float64 {
	h := uint32(x)*0x9e3779b1 ^ uint32(y)*0x85ebca77 ^ seed*0xc2b2ae3d
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	h *= 0x297a2d39
	h ^= h >> 15
	return float64(h) / (1 << 32)
}

// patches is smooth value noise in [0, 1) with features of size 1.
func patches(x, y float64, seed uint32) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int32(fx), int32(fy)
	u, v := x-fx, y-fy
	u, v = u*u*(3-2*u), v*v*(3-2*v)
	a, b := hash(ix, iy, seed), hash(ix+1, iy, seed)
	c, d := hash(ix, iy+1, seed), hash(ix+1, iy+1, seed)
	return a + (b-a)*u + (c-a)*v + (a-b-c+d)*u*v
}

// cloud sums octaves of patches, each half as large and half as strong; the
// result lies in [0, 1).
func cloud(x, y float64, octaves int, seed uint32) float64 {
	sum, weight, total := 0.0, 1.0, 0.0
	for o := range octaves {
		sum += weight * patches(x, y, seed+uint32(o)*101)
		total += weight
		x, y, weight = 2*x+17.3, 2*y+9.1, weight/2
	}
	return sum / total
}

// smoke is a tile of cloud that mist and flame are cut from; it repeats without
// a seam.
type smoke struct {
	tile [smokeSide * smokeSide]float32
}

const smokeSide = 256

func newSmoke(seed uint64) *smoke {
	s := &smoke{}
	for y := range smokeSide {
		for x := range smokeSide {
			s.tile[y*smokeSide+x] = float32(seamless(x, y, uint32(seed>>7)))
		}
	}
	return s
}

// seamless is cloud on a torus: the lattice wraps at the tile's edge.
func seamless(x, y int, seed uint32) float64 {
	sum, weight, total := 0.0, 1.0, 0.0
	for size := int32(32); size >= 4; size /= 2 {
		n := smokeSide / size
		fx, fy := float64(x)/float64(size), float64(y)/float64(size)
		ix, iy := int32(fx), int32(fy)
		u, v := smooth(fx-float64(ix)), smooth(fy-float64(iy))
		s := seed + uint32(size)
		a, b := hash(ix, iy, s), hash((ix+1)%n, iy, s)
		c, d := hash(ix, (iy+1)%n, s), hash((ix+1)%n, (iy+1)%n, s)
		sum += weight * (a + (b-a)*u + (c-a)*v + (a-b-c+d)*u*v)
		total += weight
		weight /= 2
	}
	return sum / total
}

// at reads the tile at texel (x, y), wrapped.
func (s *smoke) at(x, y int) float32 {
	return s.tile[(y&(smokeSide-1))*smokeSide+x&(smokeSide-1)]
}

func smooth(x float64) float64 {
	x = min(max(x, 0), 1)
	return x * x * (3 - 2*x)
}
