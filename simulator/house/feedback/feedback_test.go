package feedback

import (
	"testing"

	"meltwatch/simulator/house/housetest"
)

func TestFeedback(t *testing.T) { housetest.Circuits(t, New) }
