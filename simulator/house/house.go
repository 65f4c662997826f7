// Package house is the contract of a furnace house: one family of currents and one
// family of pictures. The furnace package decides what happens and when; a house decides
// how that looks to the meter and to the camera.
//
// A model that has only seen one house says nothing about the next plant. So there are
// several families, each from a different principle, and every current can go with every
// picture. Package dataset lists them.
//
// Units: seconds, amperes RMS, shares 0–1, places as shares of the crop's side with
// (0, 0) at its top left.
package house

// Period is the time between two values of the meter, in seconds.
const Period = 0.5

// FullScale is where the current sensor clips, in amperes.
const FullScale = 20000

// Side is the crop's width and height in pixels.
const Side = 64

// Setting is what stays the same for one melt. A family draws everything else that
// differs between melts (the shell, the camera, the arcs) from the seed.
type Setting struct {
	Seed     uint64
	SetPoint float64 // amperes, 10,000–16,000
}

// Kind is how the current behaves in an abnormal episode.
type Kind string

// The kinds of abnormal current. Flat fluctuates by about a tenth of normal: 120-s
// coefficient of variation 0.01–0.03. Reduced fluctuates by a third to two thirds of
// normal. DropOuts is reduced, with rectangular losses of one or all phases for 1–5 s.
const (
	Flat     Kind = "flat"
	Reduced  Kind = "reduced"
	DropOuts Kind = "drop_outs"
)

// Demand is what the state of the furnace asks of the arcs for the next Period.
type Demand struct {
	Time float64
	// Power is 0 while the furnace is off and 1 while it works; it rises during start-up.
	Power float64
	// Episode counts the abnormal episodes of the melt from 1, and is 0 outside them. Kind
	// belongs to the episode.
	Episode int
	Kind    Kind
	// Quiet is how far the episode has quietened the current, 0–1. It rises for 30–80 s
	// after the onset and falls in recovery. Some episodes stay near 0 throughout, and
	// some stretches of the others return to 0.
	Quiet float64
	// Calm is how far a normal furnace has gone quiet for a while, 0–1: the current's
	// look-alike of an episode.
	Calm float64
	// Feeding: cold charge dampens the pool. Exhaust: gas leaves, the pool is restless.
	// Manual: the electrodes do not follow the current.
	Feeding, Exhaust, Manual bool
	// Lost is the number of seconds since the arc of Phase went out, −1 if none did: the
	// phase falls to 100–300 A for 3 s, the others to 0.75 of their values, and then all
	// overshoot to 19–20 kA (at a set-point of 15 kA) for a sample or two.
	Lost float64
	// Slip is how far the electrode of Phase has slipped, 0–1: its current rises by up to
	// 30 % of the set-point.
	Slip  float64
	Phase int
}

// Circuit is the current of one melt.
type Circuit interface {
	// Next returns the current of each phase as the meter reports it, in amperes,
	// 0–FullScale. It is called once a Period, with rising Time.
	Next(d Demand) [3]float64
}

// View is everything that the camera may see.
type View struct {
	Time float64
	// Light is 1 while the furnace works and 0 while it is off.
	Light float64
	// Turbulence is the current's change against its usual change, 1 = usual, 0–3: what
	// drives the flame at the mouth, the physical link between the senses.
	Turbulence float64
	// Feeding raises dust; Exhaust makes the flame grow.
	Feeding, Exhaust bool
	Spot             Spot
	// Ember is a cinder on the shell that glows and dies within half a minute: the spot's
	// look-alike. Its level is 0 while there is none.
	EmberX, EmberY, Ember float64
	// Mist is bright moving water mist, 0 none … 1 dense. Sparks is a shower of them, 0–1.
	Mist, Sparks float64
	// Exposure pushes the camera dark (−1) or white (+1), in either state of the furnace.
	Exposure float64
	// Passer is where a worker stands across the crop (−0.5…1.5); Passes says whether
	// anyone does.
	Passer float64
	Passes bool
	// Overheated is a dull even glow of the whole shell, 0–1, which is not the sign.
	Overheated float64
}

// Spot is the hot spot of an abnormal episode. It stays in one place, which Seed draws.
type Spot struct {
	Episode int // 0: none
	Seed    uint64
	// Growth is 0 at the first glow and 1 fully grown: the area goes from 0.05 % to
	// between 1.5 % and 5 % of the crop (drawn from Seed), the colour from first red to
	// white. It falls in recovery.
	Growth float64
	// Cover is how far crust or spray hides the spot, 0 seen … 1 hidden. Some episodes are
	// hidden throughout.
	Cover float64
}

// Camera is the picture of one melt.
type Camera interface {
	// Crop draws the crop as row-major RGB into pixels, 3 × Side × Side bytes, and 1 into
	// mask, Side × Side bytes, where the hot spot can be seen, else 0. mask may be nil.
	// Time rises from call to call, by 0.04–5 s.
	Crop(v View, pixels, mask []byte)
}
