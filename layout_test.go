package meltwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
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
	{"commandline", "", nil, "a command line knows no command"},
	{"localhttp", "", []string{"tick"}, "a page's guard knows no page"},
	{"retry", "", nil, "retry serves drivers and agent alike"},
	{"durable", "", nil, "durable files serve drivers and agent alike"},
	{"tick", "", []string{"retry"}, "a program's parts share its instants"},
	{"percentile", "", nil, "a percentile is the same everywhere"},
	{"child", "", []string{"tick"}, "the child protocol knows no part of the agent"},
	{"drivers", "agent", nil, "drivers do not know who listens"},
	{"drivers", "inference", nil, "what senses and what decides meet in the agent alone"},
	{"inference", "agent", nil, "a model does not know who asks"},
	{"inference", "drivers", nil, "what senses and what decides meet in the agent alone"},
	{"inference", "config", nil, "a model's settings are its manifest's"},
	{"simulator", "fleet", nil, "the simulator stands in for the plant, which does not know its desk"},
	{"simulator", "agent", []string{"agent/message"}, "the simulator stands in for the plant, which does not know the agent"},
	{"fleet", "agent", []string{"agent/message", "agent/remote"}, "the fleet tool knows an agent by its messages"},
}

// within lists what each folder of the agent may import of the agent. Parts meet in
// package agent, through interfaces that their users declare.
var within = map[string][]string{
	"agent/message":  nil,
	"agent/stamp":    {"agent/message"},
	"agent/mqtt":     {"agent/message"},
	"agent/delivery": {"agent/message", "agent/mqtt", "agent/stamp"},
	// The ledger of a delivery knows no sender, so measurements and simulated days share it.
	"agent/delivery/ledger":     nil,
	"agent/outbox":              nil,
	"agent/align":               nil,
	"agent/state":               nil,
	"agent/decide":              {"agent/align", "agent/state"},
	"agent/camera":              nil,
	"agent/infer":               nil,
	"agent/health":              nil,
	"agent/supervisor":          nil,
	"agent/logging":             nil,
	"agent/meters":              {"agent/health"},
	"agent/alarm":               {"agent/decide", "agent/message", "agent/stamp"},
	"agent/beside":              nil,
	"agent/web":                 {"agent/beside", "agent/compare", "agent/health", "agent/message", "agent/recorder"},
	"agent/metrics":             {"agent/health", "agent/message"},
	"agent/recorder":            {"agent/message"},
	"agent/report":              {"agent/decide", "agent/health", "agent/message", "agent/outbox", "agent/stamp", "agent/state"},
	"agent/replay":              {"agent/decide", "agent/recorder"},
	"agent/compare":             {"agent/decide", "agent/recorder", "agent/replay", "agent/state"},
	"agent/settings":            {"agent/decide", "agent/outbox", "agent/recorder", "agent/state", "agent/web"},
	"agent/check":               {"agent/beside", "agent/camera", "agent/infer", "agent/message", "agent/meters", "agent/mqtt", "agent/remote", "agent/settings", "agent/stamp"},
	"agent/remote/mailbox":      nil,
	"agent/remote/commit":       {"agent/message"},
	"agent/remote/modelpackage": {"agent/message"},
	"agent/remote/command":      {"agent/message"},
	"agent/remote":              {"agent/message", "agent/remote/commit", "agent/remote/mailbox"},
	"agent/remote/rollout":      {"agent/message", "agent/remote/commit", "agent/remote/mailbox", "agent/remote/modelpackage"},
}

func TestDependenciesPointOneWay(t *testing.T) {
	for _, p := range list(t, nil, "./...") {
		for _, rule := range forbidden {
			if !under(p.ImportPath, rule.from) {
				continue
			}
			for _, imported := range p.Imports {
				if reaches(imported, rule.to, rule.from) && !slices.ContainsFunc(rule.except, func(name string) bool { return under(imported, name) }) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, rule.why)
				}
			}
		}
		folder := strings.TrimPrefix(p.ImportPath, "meltwatch/")
		if !strings.HasPrefix(folder, "agent/") || p.Name == "simtest" || p.Name == "recordertest" {
			continue
		}
		may, known := within[folder]
		if !known {
			t.Errorf("%s: say in layout_test.go what it may import of the agent", folder)
		}
		for _, imported := range p.Imports {
			if name, ours := strings.CutPrefix(imported, "meltwatch/"); ours && under(imported, "agent") && !slices.Contains(may, name) {
				t.Errorf("%s imports %s: parts meet in package agent", p.ImportPath, imported)
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
