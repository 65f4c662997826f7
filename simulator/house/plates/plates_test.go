package plates

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestPlates(t *testing.T) { housetest.Cameras(t, New) }
