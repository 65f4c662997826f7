package furnace

import "meltwatch/simulator/house"

// NewInHouse is New with the current of another furnace house, this one's where circuit is
// nil; what happens and when is the same.
func NewInHouse(s Scenario, b Batch, electric, picture uint64, circuit house.Circuit) *Furnace {
	f := setUp(s, b, electric, picture)
	f.circuit = circuit
	f.tick()
	return f
}

// demand is what the state and its overlays ask of another house's current.
func (f *Furnace) demand(t float64, s span) house.Demand {
	d := house.Demand{
		Time: t, Power: 1, Lost: -1, Calm: smooth(f.levels[atCalm] * 1.5),
		Feeding: f.levels[atFeed] > 0 || s.State == Feeding,
		Exhaust: f.levels[atExhaust] > 0 || s.State == Exhaust,
		Manual:  f.levels[atManual] > 0,
	}
	switch s.State {
	case Off, Trip:
		d.Power = 0
	case Startup:
		d.Power = 0.2 + 0.8*smooth((t-s.from)/(s.to-s.from))
	}
	if e := s.episode; e != nil {
		d.Episode, d.Kind = e.number, house.Kind(e.kind)
		d.Quiet = e.quiet(t) * (1 - smooth(f.levels[atNearNormal]*3))
		d.Calm = 0
	}
	var r regime
	r.lost = -1
	f.strike(&r, t)
	d.Lost, d.Slip, d.Phase = r.lost, r.slip, r.phase
	return d
}

// usualChange is the mean change of the current from sample to sample in normal work, as
// a share of the set-point.
const usualChange = 0.06

// View is what another house's camera may see of the state.
func (s State) View() house.View {
	p := s.Picture
	return house.View{
		Time: s.Time, Light: p.Light, Turbulence: p.Turbulence,
		Feeding: s.PLC.Feeding, Exhaust: s.PLC.Exhaust,
		Spot:   house.Spot{Episode: p.Spot.Episode, Seed: p.Spot.Seed, Growth: p.Spot.Growth, Cover: p.Spot.Cover},
		EmberX: p.Ember.X, EmberY: p.Ember.Y, Ember: p.Ember.Shine / emberShine,
		Mist: p.Mist, Sparks: p.Sparks, Exposure: p.Exposure,
		Passer: p.Passer, Passes: p.PasserSeen > 0, Overheated: p.Redness,
	}
}
