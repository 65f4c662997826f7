package conductance_test

import (
	"testing"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/conductance"
	"meltwatch/simulator/house/housetest"
)

func TestCircuit(t *testing.T) { housetest.Circuits(t, conductance.New) }

func BenchmarkHalfHour(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		c := conductance.New(house.Setting{Seed: 1, SetPoint: 15_000})
		for k := range 3600 {
			c.Next(house.Demand{Time: float64(k) * house.Period, Power: 1, Lost: -1})
		}
	}
}
