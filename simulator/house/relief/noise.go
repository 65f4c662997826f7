package relief

import "math"

// hash is a number in [0, 1) for a lattice point.
func hash(seed uint32, x, y int32) float32 {
	h := seed*0x9e3779b1 ^ uint32(x)*0x85ebca77 ^ uint32(y)*0xc2b2ae3d
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	h *= 0x297a2d39
	h ^= h >> 15
	return float32(h>>8) / (1 << 24)
}

// noise is smooth noise in [0, 1) with a wavelength of about 1.
func noise(seed uint32, x, y float32) float32 {
	fx, fy := floor(x), floor(y)
	ix, iy := int32(fx), int32(fy)
	x, y = smooth(x-fx), smooth(y-fy)
	a := lerp(hash(seed, ix, iy), hash(seed, ix+1, iy), x)
	b := lerp(hash(seed, ix, iy+1), hash(seed, ix+1, iy+1), x)
	return lerp(a, b, y)
}

// fractal adds octaves of noise, each half as strong and half as long.
func fractal(seed uint32, x, y float32, octaves int) float32 {
	sum, weight, total := float32(0), float32(1), float32(0)
	for k := range octaves {
		sum += weight * noise(seed+uint32(k)*101, x, y)
		total += weight
		weight /= 2
		x, y = 2*x+17.3, 2*y+5.1
	}
	return sum / total
}

func floor(x float32) float32 {
	n := float32(int32(x))
	if n > x {
		n--
	}
	return n
}

func smooth(t float32) float32 { return t * t * (3 - 2*t) }

// ramp rises from 0 at a to 1 at b.
func ramp(a, b, x float32) float32 { return smooth(clamp((x-a)/(b-a), 0, 1)) }

func lerp(a, b, t float32) float32 { return a + (b-a)*t }

func clamp(x, low, high float32) float32 { return min(max(x, low), high) }

// log2 of a positive x, from the exponent and a cubic in the mantissa, within 0.002.
func log2(x float32) float32 {
	bits := math.Float32bits(x)
	m := math.Float32frombits(bits&0x7fffff|0x3f800000) - 1
	return float32(int32(bits>>23)-127) + m*(1.4249+m*(-0.5822+m*0.1573))
}

// exp2 is 2 to the power of x, within 0.02 %.
func exp2(x float32) float32 {
	x = clamp(x, -60, 60)
	whole := floor(x)
	f := x - whole
	return math.Float32frombits(uint32(int32(whole)+127)<<23) * (1 + f*(0.69558+f*(0.22628+f*0.07814)))
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func exp(x float32) float32 { return exp2(x * math.Log2E) }

func sin(x float64) float32 { return float32(math.Sin(x)) }

func abs(x float32) float32 { return max(x, -x) }
