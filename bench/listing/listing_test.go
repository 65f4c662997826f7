package listing

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// Every agent of a broker is listed, and one that is missing is an error.
func TestEveryAgentIsListed(t *testing.T) {
	const meltctl = "../../bin/meltctl"
	if _, err := os.Stat(meltctl); errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED, no list is measured: bin/meltctl is not built: run make build")
	}
	var out bytes.Buffer
	if err := (Options{Meltctl: meltctl, Agents: 20, Rounds: 2}).Run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "`meltctl list` with 20 agents in retained topics of mosquitto: ") {
		t.Error(out.String())
	}
}
