package relief

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestCameras(t *testing.T) { housetest.Cameras(t, New) }
