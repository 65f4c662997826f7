package check

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"meltwatch/durable"
)

// broken is a box with one fault.
type broken struct {
	fault  string
	breaks func(*testing.T, plant, *box)
	// check and key are those of the failing line; want is in its detail: the cause and
	// the remedy.
	check, key string
	want       []string
}

// A box in which nothing is wrong passes, with every line and nothing left behind.
func TestSoundBox(t *testing.T) {
	p := newPlant(t)
	b := p.sound(t)
	lines, ok := b.check(t)
	if !ok || len(lines) != len(entries()) {
		t.Errorf("%d lines, ok %v", len(lines), ok)
	}
	for _, l := range lines {
		if l.Status != OK {
			t.Errorf("%+v", l)
		}
	}
	if _, err := os.Stat(b.folder); err == nil {
		t.Errorf("%s is left", b.folder)
	}
}

// Each broken box gets a failing line that names the fault with its setting and the
// remedy, no other check fails, and all lines are printed.
func TestBrokenBoxes(t *testing.T) {
	p := newPlant(t)
	all := slices.Concat(badConfigurations(), badMachines(), badPrograms(), badModels(), badBrokers(), badMeters(), badCameras(), badPages(), badRecordings())
	if len(all) < 40 {
		t.Errorf("%d cases", len(all))
	}
	for i, c := range all {
		if testing.Short() && i%4 != 0 {
			continue // the race detector sees the same code with the others
		}
		t.Run(c.check+"/"+c.fault, func(t *testing.T) {
			b := p.sound(t)
			if !slices.Contains([]string{"manifest", "model", "programs", "thresholds"}, c.check) {
				b.paths = "programs: " + p.quick // the fault is elsewhere
			}
			c.breaks(t, p, b)
			began := time.Now()
			lines, ok := b.check(t)
			took := time.Since(began).Round(10 * time.Millisecond)
			c.judged(t, lines, ok)
			t.Logf("%s in %v", c.fault, took)
		})
	}
}

func (c broken) judged(t *testing.T, lines []Line, ok bool) {
	t.Helper()
	printed := map[string]bool{}
	found := false
	for _, l := range lines {
		printed[l.Check] = true
		if l.Status != Fail {
			continue
		}
		if l.Check != c.check {
			t.Errorf("another fault: %+v", l)
			continue
		}
		fits := l.Key == c.key
		for _, want := range c.want {
			fits = fits && strings.Contains(l.Detail, want)
		}
		found = found || fits
	}
	if ok || !found {
		t.Errorf("ok %v, want %s %q: %q", ok, c.check, c.key, c.want)
		for _, l := range lines {
			t.Logf("%+v", l)
		}
	}
	for _, name := range Names() {
		if !printed[name] {
			t.Errorf("the line of %s is missing", name)
		}
	}
}

func replaced(from, to string) func(*testing.T, plant, *box) {
	return func(t *testing.T, _ plant, b *box) {
		text := b.text()
		if b.file = strings.Replace(text, from, to, 1); b.file == text {
			t.Fatalf("%q is not in %s", from, text)
		}
	}
}

func badConfigurations() []broken {
	return []broken{
		{"invalid YAML", replaced("meters: {", "meters: {{"), "config", "", []string{"YAML wants"}},
		{"unknown key", replaced("period:", "priod:"), "config", "meters.main.priod", []string{"unknown"}},
		{"missing key", replaced("broker:", "client_id: x, username: x #"), "config", "", []string{"YAML"}},
		{"missing broker", func(_ *testing.T, _ plant, b *box) { b.mqtt = "client_id: x" }, "config", "mqtt.broker", []string{"is missing"}},
		{"a text for a number", replaced("period: 100ms", "period: often"), "config", "meters.main.period", []string{"often"}},
		{"not UTF-8", replaced("f07", "f\xff7"), "config", "", []string{"save the file as UTF-8"}},
		{"file missing", func(_ *testing.T, _ plant, b *box) { b.path = filepath.Join(filepath.Dir(b.path), "none", "c.yaml") }, "config", "", []string{"no such file", "--config"}},
		{"a folder for a file", func(t *testing.T, _ plant, b *box) { b.path = t.TempDir() }, "config", "", []string{"is a directory", "--config"}},
		{"a password in a URL", func(_ *testing.T, _ plant, b *box) { b.mqtt = `broker: "tcp://user:secret@127.0.0.1:1"` }, "config", "mqtt.broker", []string{"password_file"}},
		{"thresholds in the wrong order", func(_ *testing.T, _ plant, b *box) { b.state = "enter: 0.5, exit: 0.6" }, "config", "state.exit", []string{"above enter", "set"}},
		{"fields share registers", func(_ *testing.T, _ plant, b *box) {
			b.fields = strings.Replace(b.fields, "address: 2", "address: 0", 1)
		}, "config", "meters.main.fields.current_b.address", []string{"current_a"}},
		{"a crop of a few pixels", func(_ *testing.T, _ plant, b *box) {
			b.camera = "url: rtsp://127.0.0.1:1/x, crop: {x: 0, y: 0, width: 8, height: 100}"
		}, "config", "camera.crop.width", []string{"16"}},
		{"an invalid public key", func(_ *testing.T, _ plant, b *box) { b.more = ", trust: {config_keys: {desk: abc}}" }, "config", "trust.config_keys.desk", nil},
		{"stored configuration damaged", stored(func(string) string { return `{"good": {` }), "revision", "paths.state", []string{"config.json", "send the configuration again"}},
		{"stored document does not fit the file", stored(func(local string) string {
			return fmt.Sprintf(`{"good": {"revision": 7, "local": %q, "patch": {"meters": {"main": {"unit": 999}}}}}`, local)
		}), "revision", "meters.main.unit", []string{"in force is"}},
		{"the edited file was rolled back", func(t *testing.T, p plant, b *box) {
			edited := base64.StdEncoding.EncodeToString([]byte(b.text()))
			b.state = "mean_seconds: 7"
			before := base64.StdEncoding.EncodeToString([]byte(b.text()))
			b.state = ""
			stored(func(string) string {
				return fmt.Sprintf(`{"good": {"revision": 0, "local": %q}, "refused": {"version": {"revision": 0, "local": %q}, "faults": [{"key": "camera", "message": "no frame"}], "tried": true}}`, before, edited)
			})(t, p, b)
		}, "revision", "camera", []string{"no frame", "in force is"}},
	}
}

// stored writes the journal of the remote configuration. journal receives the file's
// content as base64.
func stored(journal func(local string) string) func(*testing.T, plant, *box) {
	return func(t *testing.T, _ plant, b *box) {
		if err := os.MkdirAll(filepath.Join(b.folder, "remote"), 0o750); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(b.folder, "remote", "config.json"), journal(base64.StdEncoding.EncodeToString([]byte(b.text()))))
	}
}

// failingFiles is a disk that refuses one operation.
type failingFiles struct {
	durable.Folder
	create, write, sync error
}

func (f failingFiles) Create(path string) (durable.File, error) {
	if f.create != nil {
		return nil, f.create
	}
	file, err := f.Folder.Create(path)
	return failingFile{file, f}, err
}

type failingFile struct {
	durable.File
	disk failingFiles
}

func (f failingFile) Write(data []byte) (int, error) {
	if f.disk.write != nil {
		return 0, f.disk.write
	}
	return f.File.Write(data)
}

func (f failingFile) Sync() error { return errors.Join(f.disk.sync, f.File.Sync()) }

func onDisk(fails failingFiles) func(*testing.T, plant, *box) {
	return func(_ *testing.T, _ plant, b *box) {
		b.change = func(k *checker) {
			k.files = func(folder string) durable.Files { fails.Folder = durable.Folder(folder); return fails }
		}
	}
}

func withSpace(s unix.Statfs_t) func(*testing.T, plant, *box) {
	return func(_ *testing.T, _ plant, b *box) {
		b.change = func(k *checker) { k.space = func(string) (unix.Statfs_t, error) { return s, nil } }
	}
}

// lateClock is a clock that has not been set since the box started.
type lateClock struct{ setClock }

func (lateClock) Wall(time.Time) time.Time { return time.Unix(3600, 0).UTC() }

func badMachines() []broken {
	occupied := func(more string) func(*testing.T, plant, *box) {
		return func(t *testing.T, _ plant, b *box) {
			write(t, b.folder, "")
			b.folder += more
		}
	}
	const gb = 1_000_000_000 / 4096
	return []broken{
		{"clock not set", func(_ *testing.T, _ plant, b *box) { b.change = func(k *checker) { k.clock = lateClock{} } }, "clock", "", []string{"1970", "timedatectl set-ntp true"}},
		{"may not write", onDisk(failingFiles{create: &os.PathError{Op: "open", Path: "x", Err: unix.EACCES}}), "storage", "paths.state", []string{"permission denied", "chown"}},
		{"cannot be created", func(_ *testing.T, _ plant, b *box) { b.folder = "/proc/meltwatch" }, "storage", "paths.state", []string{"/proc/meltwatch cannot be written"}},
		{"disk full at a write", onDisk(failingFiles{write: unix.ENOSPC}), "storage", "paths.state", []string{"no space left", "delete files"}},
		{"disk mounted read-only", onDisk(failingFiles{create: unix.EROFS}), "storage", "paths.state", []string{"read-only", "mount the disk"}},
		{"disk fails at a sync", onDisk(failingFiles{sync: unix.EIO}), "storage", "paths.state", []string{"input/output error", "replace it"}},
		{"disk full", withSpace(unix.Statfs_t{Bsize: 4096, Bavail: 10}), "disk", "paths.state", []string{"is full", "delete files"}},
		{"disk too small for the outbox", withSpace(unix.Statfs_t{Bsize: 4096, Bavail: gb / 2}), "disk", "outbox.total_mb", []string{"set 299 or less"}},
		{"outbox larger than this disk", func(_ *testing.T, _ plant, b *box) {
			b.change = func(k *checker) {}
			b.more = ", outbox: {total_mb: 1000000}"
		}, "disk", "outbox.total_mb", []string{"or less"}},
		{"file system read-only", withSpace(unix.Statfs_t{Bsize: 4096, Bavail: gb, Flags: unix.ST_RDONLY}), "disk", "paths.state", []string{"read-only", "mount it for writing"}},
		{"inodes used up", withSpace(unix.Statfs_t{Bsize: 4096, Bavail: gb, Files: 9}), "disk", "paths.state", []string{"inode", "delete files"}},
		{"a file for the state folder", occupied(""), "storage", "paths.state", []string{"is a file", "name a folder"}},
		{"a file above the state folder", occupied("/state"), "storage", "paths.state", []string{"is a file", "name a folder"}},
	}
}

func badPrograms() []broken {
	script := func(text string, mode os.FileMode) func(*testing.T, plant, *box) {
		return func(t *testing.T, p plant, b *box) { p.replaceProgram(t, b, text, mode) }
	}
	return []broken{
		{"program missing", func(t *testing.T, p plant, b *box) {
			if err := os.Remove(p.replaceProgram(t, b, "", 0o755)); err != nil {
				t.Fatal(err)
			}
		}, "programs", "paths.programs", []string{"meltwatch-infer is missing", "install it"}},
		{"folder of the programs missing", func(_ *testing.T, _ plant, b *box) { b.paths = "programs: /nonexistent" }, "programs", "paths.programs", []string{"/nonexistent/meltwatch-infer is missing"}},
		{"not executable", script("#!/bin/sh\n", 0o644), "programs", "paths.programs", []string{"not executable", "chmod 755"}},
		{"ends at once", script("#!/bin/sh\necho no licence >&2\nexit 3\n", 0o755), "programs", "paths.programs", []string{"exit status 3: no licence", "install the program"}},
		{"of another machine", script("\x7fELF\x02\x01\x01garbage", 0o755), "programs", "paths.programs", []string{"exec format error", "architecture"}},
		{"a folder in its place", func(t *testing.T, p plant, b *box) {
			path := p.replaceProgram(t, b, "", 0o755)
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
				t.Fatal(err)
			}
		}, "programs", "paths.programs", []string{"is not a file", "install the program again"}},
		{"of another release", func(t *testing.T, p plant, b *box) {
			p.replaceProgram(t, b, testChild(t, "old"), 0o755)
		}, "programs", "paths.programs", []string{"Model version 99", "install programs of one release"}},
		{"library missing", withoutLibraries, "programs", "paths.programs", []string{"libmeltfirst.so", "missing: libmeltfirst.so, libmeltsecond.so", "install the packages"}},
	}
}

// withoutLibraries builds a program and removes two libraries that it needs.
func withoutLibraries(t *testing.T, p plant, b *box) {
	t.Helper()
	folder := p.otherPrograms(t)
	c := filepath.Join(t.TempDir(), "a.c")
	gcc := func(arguments ...string) {
		if said, err := exec.Command("gcc", arguments...).CombinedOutput(); err != nil {
			t.Skipf("no compiler: %v: %s", err, said)
		}
	}
	for _, name := range []string{"first", "second"} {
		write(t, c, "int "+name+"(void) { return 0; }")
		gcc("-shared", "-fPIC", "-o", filepath.Join(folder, "libmelt"+name+".so"), c)
	}
	write(t, c, "int first(void), second(void); int main(void) { return first() + second(); }")
	program := filepath.Join(folder, modelProgram)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	gcc("-o", program, c, "-L"+folder, "-lmeltfirst", "-lmeltsecond")
	if err := errors.Join(os.Remove(filepath.Join(folder, "libmeltfirst.so")), os.Remove(filepath.Join(folder, "libmeltsecond.so"))); err != nil {
		t.Fatal(err)
	}
	b.paths = "programs: " + folder
}

func badModels() []broken {
	damaged := func(name string, damage func(t *testing.T, path string)) func(*testing.T, plant, *box) {
		return func(t *testing.T, _ plant, b *box) {
			b.model = copyFolder(t, productModel)
			damage(t, filepath.Join(b.model, name))
		}
	}
	edit := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), from, to, 1)
			if changed == string(text) {
				t.Fatalf("%s holds no %q", path, from)
			}
			write(t, path, changed)
		}
	}
	remove := func(t *testing.T, path string) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	return []broken{
		{"folder missing", func(_ *testing.T, _ plant, b *box) { b.model = "/nonexistent/model" }, "manifest", "model.path", []string{"/nonexistent/model/manifest.json", "name the model's folder, such as /usr/share/meltwatch/models/product"}},
		{"manifest cut off", damaged("manifest.json", func(t *testing.T, path string) {
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
		}), "manifest", "model.path", []string{"manifest.json", "export the model again"}},
		{"manifest of another format", damaged("manifest.json", edit(`"format": 1`, `"format": 9`)), "manifest", "model.path", []string{"format: is 9", "install the release"}},
		{"graph missing", damaged("saved_model.pb", remove), "model", "model.path", []string{"saved_model.pb"}},
		{"weights missing", damaged("variables", remove), "model", "model.path", []string{"variables"}},
		{"weights damaged", damaged("variables/variables.data-00000-of-00001", func(t *testing.T, path string) {
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err == nil {
				_, err = file.WriteAt([]byte("damaged"), 5000)
			}
			if err := errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
		}), "model", "model.path", []string{"sha256"}},
		{"a file too many", damaged("more.txt", func(t *testing.T, path string) { write(t, path, "") }), "model", "model.path", []string{"more.txt"}},
		{"threshold below the model's", func(_ *testing.T, _ plant, b *box) { b.state = "enter: 0.1" }, "thresholds", "state.enter", []string{"set state.exit"}},
	}
}
