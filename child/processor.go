package child

import (
	"os"
	"runtime"
)

// OneProcessor lets one goroutine of a program run at a time, unless GOMAXPROCS is set: in short
// bursts of goroutines that wake each other, a second thread costs more than it saves.
func OneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}
