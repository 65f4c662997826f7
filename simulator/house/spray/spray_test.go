package spray

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestSpray(t *testing.T) { housetest.Cameras(t, New) }
