package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A small fleet outlives every fault of the script on a real cluster.
func TestFleetOutlivesItsCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("real time: left out by -short")
	}
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for name, remedy := range map[string]string{"nats-server": "scripts/nats.sh", "meltctl": "make build"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Skipf("SKIPPED, no cluster is tested: bin/%s is not built: run %s", name, remedy)
		}
	}
	var page bytes.Buffer
	err = Options{NATS: filepath.Join(bin, "nats-server"), Meltctl: filepath.Join(bin, "meltctl"), Agents: 6, Rarer: 1, Listed: 20, Pending: 1, Steady: 3 * time.Second, Fault: 4 * time.Second}.Run(t.Context(), &page)
	t.Log(page.String())
	if err != nil {
		t.Fatal(err)
	}
}
