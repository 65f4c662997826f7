package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// install copies the programs and TensorFlow's library as a package does, below another
// folder than the one they were built in.
func install(t *testing.T) (bin string) {
	t.Helper()
	built, root := needPrograms(t), t.TempDir()
	for from, to := range map[string]string{
		filepath.Join(built, "meltwatch-camera"):                                                    "usr/bin/meltwatch-camera",
		filepath.Join(built, "meltwatch-infer"):                                                     "usr/bin/meltwatch-infer",
		filepath.Join(built, "..", ".deps", "libtensorflow", "lib", "libtensorflow_cc.so.2"):        "usr/lib/meltwatch/libtensorflow_cc.so.2",
		filepath.Join(built, "..", ".deps", "libtensorflow", "lib", "libtensorflow_framework.so.2"): "usr/lib/meltwatch/libtensorflow_framework.so.2",
	} {
		target := filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "--reflink=auto", "--dereference", from, target).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return filepath.Join(root, "usr", "bin")
}

// alone runs a program without the environment of this process.
func alone(program string, arguments ...string) (string, error) {
	cmd := exec.Command(program, arguments...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestInstalledProgramsFindTheirLibraries(t *testing.T) {
	bin := install(t)
	for _, name := range []string{"meltwatch-camera", "meltwatch-infer"} {
		program := filepath.Join(bin, name)
		libraries, err := alone("ldd", program)
		if err != nil || strings.Contains(libraries, "not found") {
			t.Errorf("%s: %v\n%s", name, err, libraries)
		}
		if name == "meltwatch-camera" && strings.Contains(libraries, "tensorflow") {
			t.Errorf("the camera's process loads TensorFlow:\n%s", libraries)
		}
		// Started by hand it passes the loader and prints its own message.
		if said, _ := alone(program, "."); !strings.Contains(said, "started by meltwatch, not by hand") {
			t.Errorf("%s: %s", name, said)
		}
		tags, err := alone("readelf", "-d", program)
		if err != nil || strings.Contains(tags, filepath.Dir(needPrograms(t))) {
			t.Errorf("%s names a path of the machine that it was built on: %v\n%s", name, err, tags)
		}
	}
}
