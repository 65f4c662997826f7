package meltwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// goPackage is what `go list -json` says of one package.
type goPackage struct {
	ImportPath string
	Name       string
	Doc        string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, env []string, arguments ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Name,Doc,Imports,Deps"}, arguments...)...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// under reports whether path is the package name, or one below it.
func under(path, name string) bool {
	return path == "meltwatch/"+name || strings.HasPrefix(path, "meltwatch/"+name+"/")
}

// forbidden lists imports that would turn the direction of dependencies round,
// with the reason. docs/architecture.md draws it.
var forbidden = []struct {
	from, to string
	except   []string
	why      string
}{
	{"config", "", nil, "config is what everything else is built from"},
	{"retry", "", nil, "retry serves drivers and agent alike"},
	{"durable", "", nil, "durable files serve drivers and agent alike"},
	{"percentile", "", nil, "a percentile serves everybody alike"},
	{"agent/delivery/ledger", "", nil, "the ledger of a delivery knows no sender, so that benchmarks and simulated days share it"},
	{"child", "", nil, "the child protocol knows no part of the agent"},
	{"drivers", "agent", nil, "drivers do not know who listens"},
	{"drivers", "inference", nil, "what senses and what decides meet in the agent alone"},
	{"inference", "agent", nil, "a model does not know who asks"},
	{"inference", "drivers", nil, "what senses and what decides meet in the agent alone"},
	{"inference", "config", nil, "a model's settings are its manifest's"},
	{"agent", "fleet", nil, "an agent does not know who looks after it"},
	{"simulator", "fleet", nil, "the simulator stands in for the plant, which does not know its desk"},
	{"simulator", "agent", nil, "the simulator stands in for the plant, which does not know the agent"},
	{"agent/message", "", []string{"agent/message"}, "messages are what everything else publishes and reads"},
	{"agent/align", "agent", []string{"agent/align"}, "alignment is pure"},
	{"agent/state", "agent", []string{"agent/state"}, "the furnace's state is pure"},
	{"agent/settings", "agent", []string{"agent/settings", "agent/decide", "agent/outbox", "agent/state"}, "settings are derived for parts, and by none"},
	{"agent/meters", "agent", []string{"agent/meters", "agent/health"}, "parts meet through interfaces that their users declare"},
	{"agent/camera", "agent", []string{"agent/camera"}, "parts meet through interfaces that their users declare"},
	{"agent/infer", "agent", []string{"agent/infer"}, "parts meet through interfaces that their users declare"},
	{"agent/decide", "agent", []string{"agent/decide", "agent/align", "agent/state"}, "parts meet through interfaces that their users declare"},
	{"agent/mqtt", "agent", []string{"agent/mqtt", "agent/message"}, "a connection does not know what is delivered over it"},
	{"agent/stamp", "agent", []string{"agent/stamp", "agent/message"}, "stamps know records alone"},
	{"agent/delivery", "agent", []string{"agent/delivery", "agent/message", "agent/mqtt", "agent/stamp"}, "parts meet through interfaces that their users declare"},
	{"agent/outbox", "", []string{"agent/outbox", "durable"}, "the outbox keeps bytes and knows nobody's meaning of them"},
	{"agent/remote", "agent", []string{"agent/remote"}, "parts meet through interfaces that their users declare"},
	{"agent/health", "agent", []string{"agent/health"}, "parts meet through interfaces that their users declare"},
	{"agent", "agent/simtest", nil, "simulated days are tests alone"},
	{"agent/supervisor", "agent", []string{"agent/supervisor"}, "parts meet through interfaces that their users declare"},
}

func TestDependenciesPointOneWay(t *testing.T) {
	for _, p := range list(t, nil, "./...") {
		for _, rule := range forbidden {
			if !under(p.ImportPath, rule.from) {
				continue
			}
			for _, imported := range p.Imports {
				if reaches(imported, rule.to, rule.from) && !allowed(imported, rule.except) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, rule.why)
				}
			}
		}
	}
}

// reaches reports whether imported lies under to; an empty to means any package
// of ours outside from.
func reaches(imported, to, from string) bool {
	if to == "" {
		return strings.HasPrefix(imported, "meltwatch/") && !under(imported, from)
	}
	return under(imported, to)
}

func allowed(imported string, except []string) bool {
	for _, name := range except {
		if under(imported, name) {
			return true
		}
	}
	return false
}

// The agent must build for a bare machine: no C library may creep in.
func TestAgentHoldsNoCLibrary(t *testing.T) {
	pure := []string{"CGO_ENABLED=0"}
	for _, p := range list(t, pure, "-deps", "./cmd/meltwatch") {
		for _, name := range []string{"gocv", "tensorflow"} {
			if strings.Contains(p.ImportPath, name) {
				t.Errorf("the agent depends on %s: it belongs into a child", p.ImportPath)
			}
		}
	}
	build := exec.Command("go", "build", "-o", os.DevNull, "./cmd/meltwatch")
	build.Env = append(os.Environ(), pure...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("build without cgo: %v\n%s", err, out)
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for _, p := range list(t, nil, "./...") {
		if p.Doc == "" && p.Name != "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
