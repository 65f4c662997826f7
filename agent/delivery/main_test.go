package delivery

import (
	"os"
	"testing"

	"meltwatch/paralleltest"
)

func TestMain(m *testing.M) { os.Exit(paralleltest.Run(m, 6)) }
