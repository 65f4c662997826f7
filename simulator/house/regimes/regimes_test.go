package regimes

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestRegimes(t *testing.T) { housetest.Circuits(t, New) }
