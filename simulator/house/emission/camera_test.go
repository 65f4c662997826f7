package emission

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestCamera(t *testing.T) { housetest.Cameras(t, New) }
