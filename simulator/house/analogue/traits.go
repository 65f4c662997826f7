package analogue

// traits are the numbers that differ between melts.
type traits struct {
	monochrome bool

	// Framing, in shares of the crop's side. The mouth may lie above the crop (negative).
	mouth, left, right float32

	// Illuminance of the shell, in lux at its brightest place, and the light's colour.
	hall, fire, neighbour     float32
	hallColour, fireColour    colour
	flameLag, flameFlicker    float32 // s; share
	overheat                  float32 // radiance of a fully overheated shell against the lit shell
	peakRatio                 float32 // radiance of the grown spot's centre against the lit shell
	conduction                float32 // length over which heat leaks along the plate, pixels
	infrared                  float32 // share of near infrared that the colour filters let through
	emberRadius, emberStretch float32 // pixels; share
	emberRatio                float32 // radiance of a bright ember against the lit shell

	// Window: share of light lost to dirt and share scattered into a halo.
	dirt, scatter float32

	// Camera.
	target         float32 // mean level that the iris seeks, 1 is white
	irisSpeed      float32 // rad/s
	irisDamping    float32 // below 1 it overshoots
	flameMeter     float32 // share of the meter that sees the flame rather than the crop
	topWeight      float32 // weight of the crop's upper quarter in the meter
	push           float32 // stops of a full push of the exposure
	pushCast       float32 // stops by which a push turns red up and blue down
	knee, gamma    float32
	smear          float32 // share of a column's charge that leaks into each of its pixels
	cast           colour  // fixed error of white balance, gain
	balance        float32 // share of the light's colour that the white balance removes
	balanceLag     float32 // s
	drift          float32 // slow drift of red and blue, share
	driftPeriod    float32 // s
	saturation     float32
	peaking        float32 // overshoot at edges from aperture correction
	sensorNoise    float32 // at nominal gain, 1 is white
	shaking        float32 // chance that a frame is displaced
	black, white   float32 // what the grabber takes for 0 and 255
	blockStep      float32 // grey levels, 0 without block coding
	vest, tallness float32 // the passer's brightness and height
}

func (t *traits) draw(r dice) {
	t.monochrome = r.chance(0.15)
	t.drawScene(r)
	t.drawCamera(r)
}

func (t *traits) drawScene(r dice) {
	t.mouth = -r.between(0.05, 0.4)
	if r.chance(0.35) {
		t.mouth = r.between(0.04, 0.18)
	}
	t.left, t.right = -1, 2
	if r.chance(0.25) {
		t.left = r.between(0.02, 0.15)
	}
	if r.chance(0.25) {
		t.right = 1 - r.between(0.02, 0.15)
	}
	t.hall, t.fire, t.neighbour = r.decades(15, 250), r.decades(40, 500), r.decades(2, 60)
	warm := r.between(-0.25, 0.35)
	t.hallColour = colour{1 + warm, 1, 1 - warm}
	// The arc flame is nearly white at its root and orange in the dust above it.
	t.fireColour = colour{1, r.between(0.55, 0.85), r.between(0.2, 0.6)}
	t.flameLag, t.flameFlicker = r.between(0.2, 1), r.between(0.05, 0.25)
	t.overheat = r.between(0.4, 1.2)
	// From dull red that hardly exceeds the lit shell to far beyond white.
	t.peakRatio = r.decades(0.9, 300)
	// A plate of thickness d loses heat like a fin: length = √(k·d/h) (Incropera and DeWitt
	// 2002). 30 W/mK, 12 mm and 100–250 W/m²K give 4–6 cm, some 1–2 pixels.
	t.conduction = r.between(0.8, 2.2)
	if r.chance(0.4) {
		t.infrared = r.decades(0.002, 0.03)
	}
	if t.monochrome {
		t.infrared = r.decades(0.01, 0.1)
	}
	t.emberRadius, t.emberStretch = r.between(1.2, 3.2), r.between(0.6, 1.7)
	t.emberRatio = r.decades(1.5, 150)
	t.dirt, t.scatter = r.between(0.05, 0.6), r.decades(0.02, 0.25)
	t.vest, t.tallness = r.decades(0.02, 0.5), r.between(0.35, 0.85)
}

func (t *traits) drawCamera(r dice) {
	t.target = r.decades(0.07, 0.3)
	t.irisSpeed, t.irisDamping = r.between(1.5, 5), r.between(0.35, 0.95)
	t.flameMeter = r.between(0, 0.45)
	t.topWeight = r.decades(0.05, 1)
	t.push, t.pushCast = r.between(0.8, 1.8), r.between(-0.1, 0.45)
	t.knee, t.gamma = r.between(0.7, 0.95), r.between(0.42, 0.6)
	t.smear = r.decades(0.0005, 0.015)
	blue := r.normal(0.12)
	t.cast = colour{exp(r.normal(0.1) - blue), 1, exp(r.normal(0.1) + blue)}
	t.balance, t.balanceLag = r.between(0.3, 0.9), r.between(1, 8)
	t.drift, t.driftPeriod = r.between(0.01, 0.12), r.decades(200, 2500)
	t.saturation = r.between(0.5, 1.2)
	t.peaking = r.between(0, 0.7)
	t.sensorNoise = r.decades(0.003, 0.02)
	if r.chance(0.4) {
		t.shaking = r.between(0.02, 0.4)
	}
	// A wrong black level lifts or crushes the shadows.
	t.black, t.white = r.between(-0.1, 0.07), r.between(0.92, 1.12)
	if r.chance(0.35) {
		t.blockStep = r.decades(3, 14)
	}
}
