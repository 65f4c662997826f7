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
	program, err := filepath.Abs("../../bin/nats-server")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("SKIPPED, no cluster is tested: bin/nats-server is not built: run scripts/nats.sh")
	}
	var page bytes.Buffer
	err = Options{NATS: program, Agents: 6, Steady: 3 * time.Second, Fault: 4 * time.Second}.Run(t.Context(), &page)
	t.Log(page.String())
	if err != nil {
		t.Fatal(err)
	}
}
