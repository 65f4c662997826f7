package conductance

import (
	"math"

	"meltwatch/simulator/house"
)

// bath moves the lengths of the arcs and the cooling of their columns. Its numbers are in
// shares of the usual arc voltage.
type bath struct {
	wander, wanderSeconds float64 // slow: the bath's level and the charge's walls
	boil, boilSeconds     float64 // fast: the rolling surface
	slosh                 float64 // share of the bath that only moves between the arcs, for its volume stays
	fever, feverSeconds   float64 // log of the boil's strength, over minutes
	slumps, slumpDepth    float64 // a second and phase: cold charge falls into an arc
	slumpSeconds          float64
	waves, waveHeight     float64 // a second and phase: melt laps at an electrode
	waveSeconds           float64
	fed, vented           float64 // strength while feeding, and while gas leaves
	fedCooling            float64
	calm                  float64 // strength in a calm spell

	level, surface, heat          [3]float64
	heatShared                    float64
	slump, wave                   [3]float64
	strength, chill               float64 // smoothed
	levelKeep, surfaceKeep        float64
	heatKeep, slumpKeep, waveKeep float64
}

// newBath draws the bath of a melt. A stiff circuit stands a rough bath, a soft one is
// run on a calm bath: currents fluctuate alike in most plants.
func newBath(d dice, stiffness float64) bath {
	size := math.Pow(stiffness/0.6, 0.8)
	b := bath{
		wander: 0.128 * size * d.between(0.75, 1.25), wanderSeconds: d.logBetween(12, 35),
		boil: 0.168 * size * d.between(0.85, 1.15), boilSeconds: d.logBetween(0.7, 1.5),
		slosh: d.between(0.25, 0.5),
		fever: d.between(0.28, 0.5), feverSeconds: d.logBetween(40, 140),
		slumps: 0.0022 * d.logBetween(0.5, 2), slumpDepth: d.between(0.35, 0.6), slumpSeconds: d.between(0.3, 0.7),
		waves: 0.012 * d.logBetween(0.5, 2), waveHeight: d.between(0.35, 0.7), waveSeconds: d.between(0.4, 1),
		fed: d.between(0.6, 0.9), vented: d.between(1.1, 1.4), fedCooling: d.between(0, 0.03),
		calm: d.between(0.15, 0.35), strength: 1,
	}
	b.levelKeep, b.surfaceKeep = math.Exp(-part/b.wanderSeconds), math.Exp(-part/b.boilSeconds)
	b.heatKeep = math.Exp(-part / b.feverSeconds)
	b.slumpKeep, b.waveKeep = math.Exp(-part/b.slumpSeconds), math.Exp(-part/b.waveSeconds)
	for p := range b.level {
		b.level[p], b.surface[p], b.heat[p] = d.NormFloat64(), d.NormFloat64(), d.NormFloat64()
	}
	b.heatShared = d.NormFloat64()
	return b
}

// keep moves a stationary first-order process of variance one.
func (d dice) keep(x *float64, keep float64) {
	*x = *x*keep + d.NormFloat64()*math.Sqrt(1-keep*keep)
}

// move returns the logarithms of the arcs' lengths and of their columns' cooling.
func (b *bath) move(d dice, demand house.Demand, e episode) (length, cooling [3]float64) {
	wanted, chill := 1.0, 0.0
	if demand.Feeding {
		wanted, chill = b.fed, b.fedCooling
	}
	if demand.Exhaust {
		wanted *= b.vented
	}
	still := 1 - clip(demand.Quiet, 0, 1)*(1-e.rest)
	still *= 1 - clip(demand.Calm, 0, 1)*(1-b.calm)
	b.strength += (wanted - b.strength) * part / 3
	b.chill += (chill - b.chill) * part / 8
	d.keep(&b.heatShared, b.heatKeep)
	for p := range length {
		d.keep(&b.level[p], b.levelKeep)
		d.keep(&b.surface[p], b.surfaceKeep)
		d.keep(&b.heat[p], b.heatKeep)
		b.slump[p] *= b.slumpKeep
		b.wave[p] *= b.waveKeep
		// A quiet bath neither laps nor lets the charge fall.
		if d.Float64() < b.slumps*part*still*still {
			b.slump[p] += b.slumpDepth * d.logBetween(0.6, 1.6)
		}
		if d.Float64() < b.waves*part*still*still {
			b.wave[p] += b.waveHeight * d.logBetween(0.5, 1.6)
		}
		strength := b.strength * math.Exp(b.fever*(0.75*b.heatShared+0.66*b.heat[p]))
		length[p] = still * (b.wander*b.level[p] + b.boil*strength*b.surface[p])
		cooling[p] = b.slump[p] + b.chill
	}
	mean := b.slosh * (length[0] + length[1] + length[2]) / 3
	for p := range length {
		length[p] += e.offset[p]*demand.Quiet - b.wave[p] - mean
	}
	return length, cooling
}
