package furnace

import "math/rand/v2"

// Batch is what stays the same for one melt: the furnace's setting, the camera's position
// and the condition of the shell. Batches differ as furnaces and days do, so a batch that
// is left out of training is a fair test.
type Batch struct {
	// Seed draws what has no field of its own: the shell's texture, stains, dirt.
	Seed uint64
	// SetPoint of the current in amperes.
	SetPoint float64
	// Turbulence scales the fluctuation of the current, 0.8–1.2.
	Turbulence float64
	// Offsets are the phases' lasting differences from the set-point, as a share of it.
	Offsets [3]float64
	// FlameLag is how long the flame takes to follow the current, in seconds.
	FlameLag float64
	// FlameBase is the height of the flame of a calm melt, 1 = usual.
	FlameBase float64
	// ExposureLag and BalanceLag are the camera's time constants in seconds.
	ExposureLag, BalanceLag float64
	// Cast is the camera's own colour cast, one factor a channel R, G, B.
	Cast [3]float64
	// Ambient is the light of the hall, 1 = usual.
	Ambient float64
	// PoseX, PoseY shift the shell in the crop, as a share of the crop's side;
	// Zoom scales it.
	PoseX, PoseY, Zoom float64
	// Stains is how many patches the shell carries; Dirt how dirty the lens is, 0–1.
	Stains int
	Dirt   float64
	// Shake is the camera's vibration in crop pixels.
	Shake float64
	// Grain is the sensor noise in grey levels.
	Grain float64
}

// Streams of random numbers. Each part of the furnace has its own, so that one part can
// be drawn again while the others stay the same.
const (
	streamBatch = iota + 1
	streamTimeline
	streamMeter
	streamCurrentEvents
	streamPictureEvents
	streamPicture
	streamElectric
	streamEpisodes
	streamLongCalm
)

func stream(seed uint64, part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, part*0x9e3779b97f4a7c15))
}

// NewBatch draws a batch. electric draws the electrical side alone (set-point,
// turbulence, offsets), so that one video can have several currents.
func NewBatch(seed, electric uint64) Batch {
	e, v := stream(electric, streamElectric), stream(seed, streamBatch)
	b := Batch{
		Seed:        v.Uint64(),
		SetPoint:    50 * float64(200+e.IntN(121)), // 10–16 kA in the steps of a set-point wheel
		Turbulence:  uniform(e, 0.8, 1.2),
		FlameLag:    uniform(v, 0.2, 1),
		FlameBase:   uniform(v, 0.75, 1.25),
		ExposureLag: uniform(v, 0.5, 2),
		BalanceLag:  uniform(v, 0.5, 2),
		Ambient:     uniform(v, 0.7, 1.3),
		PoseX:       uniform(v, -0.06, 0.06),
		PoseY:       uniform(v, -0.06, 0.06),
		Zoom:        uniform(v, 0.92, 1.1),
		Stains:      3 + v.IntN(7),
		Dirt:        v.Float64() * v.Float64(),
		Shake:       uniform(v, 0.05, 0.5),
		Grain:       uniform(v, 1.5, 4.5),
	}
	for i := range b.Cast {
		b.Cast[i] = uniform(v, 0.85, 1.15)
	}
	for p := range b.Offsets {
		b.Offsets[p] = e.NormFloat64() * 0.015
	}
	return b
}

func uniform(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }
