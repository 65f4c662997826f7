package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meltwatch/child"
	"meltwatch/drivers/drivertest"
	"meltwatch/inference"
	"meltwatch/inference/inferencetest"
	"meltwatch/simulator/broker"
)

// TestMain serves as a model child if the environment asks for it: as one of another release,
// or as one without TensorFlow.
func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childVariable) {
	case "old":
		err = child.Serve(context.Background(), child.Service{Name: "Model", Version: 99, Receiver: oldModel{}})
	case "golden":
		err = child.Serve(context.Background(), child.Service{Name: "Model", Version: inference.ChildVersion, Receiver: &inferencetest.Golden{}})
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const childVariable = "CHECK_TEST_CHILD"

// testChild is a program that runs this test program as a child.
func testChild(t *testing.T, kind string) (script string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("#!/bin/sh\n%s=%s exec %s\n", childVariable, kind, self)
}

type oldModel struct{}

// Load is there because a service needs a method.
func (oldModel) Load(_ string, _ *string) error { return nil }

// box is a furnace's box in a test: its configuration by sections, and what replaces
// the world around it.
type box struct {
	site, meter, fields, camera, model, state, mqtt, web, metrics, paths, more string
	// folder is the state folder.
	folder string
	// file replaces the whole configuration file, unless it is empty.
	file string
	path string
	// change replaces parts of the checker.
	change func(*checker)
}

// plant is what all boxes of a test share.
type plant struct {
	programs, broker, meter string
	// quick are the programs with a model child that needs no TensorFlow.
	quick string
}

// soundRegisters are three phases and a set-point.
func soundRegisters() []uint16 { return floats(0, 15_012, 14_890, 15_100, 15_000) }

func newPlant(t *testing.T) plant {
	t.Helper()
	programs := programsForCamera(t)
	if _, err := os.Stat(filepath.Join(programs, modelProgram)); err != nil {
		t.Skip("meltwatch-infer is not built: run make build")
	}
	server, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	p := plant{programs: programs, broker: url, meter: drivertest.Registers(t, soundRegisters(), nil)}
	p.quick = p.otherPrograms(t)
	path := filepath.Join(p.quick, modelProgram)
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte(testChild(t, "golden")), 0o755)); err != nil {
		t.Fatal(err)
	}
	return p
}

const productModel = "../../inference/models/product"

// sound returns a box in which nothing is wrong.
func (p plant) sound(t *testing.T) *box {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "state")
	free := unusedAddresses(t, 2)
	return &box{
		site: "site: plant-1, furnace: f07", meter: quoted(p.meter), folder: folder,
		fields: "current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}",
		camera: "enabled: false", model: productModel, mqtt: "broker: " + quoted(p.broker),
		web: "listen: " + quoted(free[0]), metrics: "listen: " + quoted(free[1]),
		paths: "programs: " + p.programs, path: filepath.Join(t.TempDir(), "meltwatch.yaml"),
	}
}

// unusedAddresses returns addresses that differ from each other.
func unusedAddresses(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}

func quoted(text string) string { return `"` + text + `"` }

func (b *box) text() string {
	if b.file != "" {
		return b.file
	}
	return "{" + b.site + ",\nmeters: {main: {url: " + b.meter + ", period: 100ms, timeout: 80ms, fields: {" + b.fields + "}}},\ncamera: {" + b.camera +
		"},\nmodel: {path: " + b.model + "},\nstate: {" + b.state + "},\nmqtt: {" + b.mqtt + "},\nweb: {" + b.web + "},\nmetrics: {" + b.metrics + "},\npaths: {state: " + b.folder + ", " + b.paths + "}" + b.more + "}\n"
}

// check runs every check of the box and returns its lines.
func (b *box) check(t *testing.T, only ...string) (lines []Line, ok bool) {
	t.Helper()
	_, here := os.Lstat(b.path)
	if _, folder := os.Lstat(filepath.Dir(b.path)); here != nil && folder == nil {
		write(t, b.path, b.text())
	}
	k := newChecker(Options{Path: b.path, JSON: true, Timeout: time.Minute, Only: only})
	k.clock = setClock{}
	if b.change != nil {
		b.change(k)
	}
	var out bytes.Buffer
	ok = k.run(t.Context(), &out)
	for text := range strings.Lines(out.String()) {
		var line Line
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines, ok
}

// setClock is a synchronised clock, which the machine of a test may lack.
type setClock struct{}

func (setClock) Wall(t time.Time) time.Time { return t.UTC().Round(0) }
func (setClock) Boot() time.Duration        { return time.Hour }
func (setClock) Synced() bool               { return true }

// copyFolder copies a folder of plain files, with their modes.
func copyFolder(t *testing.T, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// otherPrograms returns a folder with the programs of the plant, of which a case may
// replace one.
func (p plant) otherPrograms(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for _, name := range []string{cameraProgram, modelProgram} {
		if err := os.Symlink(filepath.Join(p.programs, name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// replaceProgram replaces the model child's program; its mode is mode.
func (p plant) replaceProgram(t *testing.T, b *box, text string, mode fs.FileMode) string {
	t.Helper()
	folder := p.otherPrograms(t)
	path := filepath.Join(folder, modelProgram)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	b.paths = "programs: " + folder
	return path
}

// onlyUnit answers for one unit only: the others learn that the device behind a
// gateway does not answer (exception 11).
func onlyUnit(unit byte) drivertest.Rewrite {
	return func(request, right []byte) []byte {
		if request[6] == unit {
			return right
		}
		return append(bytes.Clone(request[:4]), 0, 3, request[6], request[7]|0x80, 11)
	}
}
