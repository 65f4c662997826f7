package impedance

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestCircuits(t *testing.T) { housetest.Circuits(t, New) }
