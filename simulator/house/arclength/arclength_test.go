package arclength

import (
	"testing"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/housetest"
)

func TestCircuits(t *testing.T) { housetest.Circuits(t, New) }

// BenchmarkNext holds a sample to its budget of 3 µs.
func BenchmarkNext(b *testing.B) {
	c := New(house.Setting{Seed: 1, SetPoint: 15000})
	for i := range b.N {
		c.Next(house.Demand{Time: float64(i) * house.Period, Power: 1, Lost: -1})
	}
}
