package crash

import (
	"os"
	"strings"
	"testing"
	"time"

	"meltwatch/bench/rig"
)

func TestMain(m *testing.M) {
	if status, isWorker := rig.RunWorker(); isWorker {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// make prove does the same with a million records.
func TestLedgerBalances(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of real time: left out by -short")
	}
	var report strings.Builder
	err := Options{Records: 40_000, Kills: 12, Outages: 4, Rate: 2500, Seed: 1, Slack: 2 * time.Second}.Run(t.Context(), &report)
	t.Log("\n" + report.String())
	if err != nil {
		t.Fatal(err)
	}
}
