package autoregressive

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestCircuit(t *testing.T) { housetest.Circuits(t, New) }
