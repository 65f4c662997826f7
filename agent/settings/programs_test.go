package settings

import (
	"os"
	"path/filepath"
	"testing"
)

func TestProgramsAreBesideTheAgentOrWhereAPackagePutsThem(t *testing.T) {
	root := t.TempDir()
	bin, lib := filepath.Join(root, "bin"), filepath.Join(root, "lib", "meltwatch")
	for _, folder := range []string{bin, lib} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	add := func(folder string) {
		if err := os.WriteFile(filepath.Join(folder, "meltwatch-infer"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		before func()
		want   string
	}{
		{before: func() {}, want: bin}, // missing in both: the error names the usual folder
		{before: func() { add(lib) }, want: lib},
		{before: func() { add(bin) }, want: bin},
	} {
		step.before()
		if have := programsNear(bin); have != step.want {
			t.Errorf("have %s, want %s", have, step.want)
		}
	}
	if have, err := Programs("/opt/x"); have != "/opt/x" || err != nil {
		t.Errorf("configured: %s, %v", have, err)
	}
}
