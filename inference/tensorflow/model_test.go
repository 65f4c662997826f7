package tensorflow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"meltwatch/inference"
)

// fixture is a small model with answers that can be worked out by hand; see
// testdata/fixture.py.
const fixture = "testdata/fixture"

// baseline is the same model with a baseline of the current, which moves halfway to the mean of the
// sample mask.
const baseline = "testdata/baseline"

func openFixture(t testing.TB, dir string) *Model {
	t.Helper()
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

var nearly = cmpopts.EquateApprox(0, 1e-6)

func TestEncodeFrameStartsFromTheFirstFrame(t *testing.T) {
	m := openFixture(t, fixture)
	pixels := make([]byte, 4*6*3)
	for i := range pixels {
		pixels[i] = 51 // a fifth of white
	}
	first, err := m.EncodeFrame(inference.Frame{Pixels: pixels})
	if err != nil {
		t.Fatal(err)
	}
	want := inference.Encoded{
		Tokens:     []float32{0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4},
		Background: filled(24, 0.2),
		Evidence:   filled(6, 1.0/6),
	}
	if diff := cmp.Diff(want, first, nearly); diff != "" {
		t.Errorf("first frame (-want +have):\n%s", diff)
	}
	// A black frame takes half of the background away.
	second, err := m.EncodeFrame(inference.Frame{Pixels: make([]byte, len(pixels)), Background: first.Background})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(filled(24, 0.1), second.Background, nearly); diff != "" {
		t.Errorf("second background (-want +have):\n%s", diff)
	}
}

func filled(n int, v float32) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = v
	}
	return values
}

func window() inference.Window {
	return inference.Window{
		Tokens:     make([]float32, 3*2*4),
		FrameMask:  []float32{1, 0, 1},
		Current:    make([]float32, 8*3),
		SampleMask: []float32{1, 1, 1, 1, 1, 1, 0, 0},
		SetPoint:   0.25,
	}
}

func TestStepAnswersByName(t *testing.T) {
	m := openFixture(t, fixture)
	have, err := m.Step(window())
	if err != nil {
		t.Fatal(err)
	}
	want := inference.Outputs{
		inference.PAbnormal:   {0.75},
		inference.Alignment:   {0.5},
		inference.FrameWeight: {0.5, 0, 0.5},
		inference.LocalLoss:   {1.75 * 1.75, 0.75 * 0.75, 0.25 * 0.25, 1.25 * 1.25, 2.25 * 2.25},
		inference.Surprise:    {0.25},
	}
	if diff := cmp.Diff(want, have, nearly); diff != "" {
		t.Errorf("outputs (-want +have):\n%s", diff)
	}
}

func TestTokensOfNoFrameMayBeLeftOut(t *testing.T) {
	m := openFixture(t, fixture)
	w := window()
	w.FrameMask = []float32{0, 0, 0}
	want, err := m.Step(w)
	if err != nil {
		t.Fatal(err)
	}
	w.Tokens = nil
	have, err := m.Step(w)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("outputs (-with tokens +without):\n%s", diff)
	}
}

// A window without a baseline is one of which nothing is known yet: it reaches the graph as zeros.
func TestStepMovesTheBaselineThatItIsGiven(t *testing.T) {
	m := openFixture(t, baseline)
	w := window()
	for name, c := range map[string]struct{ given, want []float32 }{
		"unknown": {nil, []float32{0.375, 0.375, 0.375, 0.375}},
		"zeros":   {[]float32{0, 0, 0, 0}, []float32{0.375, 0.375, 0.375, 0.375}},
		"known":   {[]float32{0.25, 0.75, 1.25, 0}, []float32{0.5, 0.75, 1, 0.375}},
	} {
		w.CurrentBaseline = c.given
		have, err := m.Step(w)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, have[inference.CurrentBaseline], nearly); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
	w.CurrentBaseline = []float32{1, 2, 3}
	if _, err := m.Step(w); err == nil || !strings.Contains(err.Error(), "check current_baseline: 3 values, the model takes 4") {
		t.Errorf("a short baseline: error %v", err)
	}
	w.CurrentBaseline = []float32{1, 2, 3, 4}
	if _, err := openFixture(t, fixture).Step(w); err == nil || !strings.Contains(err.Error(), "check current_baseline: 4 values, the model takes 0") {
		t.Errorf("a baseline for a model without one: error %v", err)
	}
}

func TestAnOutputThatIsNoNumberIsAnError(t *testing.T) {
	m := openFixture(t, fixture)
	w := window()
	w.SetPoint = -1 // the fixture takes its square root
	if out, err := m.Step(w); err == nil || !strings.Contains(err.Error(), "alignment") {
		t.Errorf("outputs %v, error %v", out, err)
	}
	if _, err := m.Step(window()); err != nil {
		t.Errorf("the call after it: %v", err)
	}
}

func TestInputsOfAnotherLengthNeverReachTensorFlow(t *testing.T) {
	m := openFixture(t, fixture)
	w := window()
	w.Current = w.Current[1:]
	if _, err := m.Step(w); err == nil || !strings.Contains(err.Error(), "check current") {
		t.Errorf("short current: error %v", err)
	}
	if _, err := m.EncodeFrame(inference.Frame{}); err == nil || !strings.Contains(err.Error(), "check frame") {
		t.Errorf("no pixels: error %v", err)
	}
}

func TestACallAfterCloseIsAnError(t *testing.T) {
	m, err := Open(fixture)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Step(window()); err == nil {
		t.Error("a closed model answered")
	}
}

// TestOpenRefuses breaks a copy of the fixture; sign says whether the manifest's
// hashes are made true again, as a wrong export would have them.
func TestOpenRefuses(t *testing.T) {
	cases := map[string]struct {
		breakIt func(t *testing.T, dir string, m *inference.Manifest)
		sign    bool
		want    string
	}{
		"a graph with one byte changed": {
			func(t *testing.T, dir string, _ *inference.Manifest) { flip(t, filepath.Join(dir, "saved_model.pb")) },
			false, "file saved_model.pb has sha256",
		},
		"a graph cut short": {
			func(t *testing.T, dir string, _ *inference.Manifest) {
				if err := os.Truncate(filepath.Join(dir, "saved_model.pb"), 4000); err != nil {
					t.Fatal(err)
				}
			},
			true, "load SavedModel",
		},
		"an empty graph": {
			func(t *testing.T, dir string, _ *inference.Manifest) {
				if err := os.Truncate(filepath.Join(dir, "saved_model.pb"), 0); err != nil {
					t.Fatal(err)
				}
			},
			true, "load SavedModel",
		},
		"a file nobody named": {
			func(t *testing.T, dir string, _ *inference.Manifest) { write(t, filepath.Join(dir, "notes.txt"), nil) },
			false, "file notes.txt is not in the manifest",
		},
		"a manifest for longer windows": {
			func(_ *testing.T, _ string, m *inference.Manifest) {
				m.Video.Frames = 4
				step := m.Signatures[inference.Step]
				for _, tensor := range []map[string]inference.Tensor{step.Inputs, step.Outputs} {
					for name, spec := range tensor {
						if name == "tokens" || strings.HasPrefix(name, "frame_") {
							spec.Shape[1] = 4
						}
					}
				}
			},
			true, "tensor",
		},
		"a manifest with an output the graph lacks": {
			func(_ *testing.T, _ string, m *inference.Manifest) {
				m.Signatures[inference.Step].Outputs["router_load"] = inference.Tensor{DType: "float32", Shape: []int{1, 1}}
			},
			true, "the SavedModel has no tensor router_load",
		},
		"a manifest without an output of the graph": {
			func(_ *testing.T, _ string, m *inference.Manifest) {
				delete(m.Signatures[inference.Step].Outputs, inference.Alignment)
			},
			true, "the manifest has no tensor alignment",
		},
		"an offset for shifts that the graph does not answer": {
			func(_ *testing.T, _ string, m *inference.Manifest) {
				m.Offset.ShiftsS = append(m.Offset.ShiftsS, 3)
			},
			true, "signatures.step.outputs.local_loss.shape: is [1 5]",
		},
		"a surprise that the manifest does not name": {
			func(_ *testing.T, _ string, m *inference.Manifest) {
				delete(m.Signatures[inference.Step].Outputs, inference.Surprise)
			},
			true, "the manifest has no tensor surprise",
		},
		"another format": {
			func(_ *testing.T, _ string, m *inference.Manifest) { m.Format = 2 },
			true, "format: is 2",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(fixture)); err != nil {
				t.Fatal(err)
			}
			manifest, _, err := inference.ReadManifest(dir)
			if err != nil {
				t.Fatal(err)
			}
			c.breakIt(t, dir, &manifest)
			if c.sign {
				sign(t, dir, manifest)
			}
			m, err := Open(dir)
			if err == nil {
				m.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %q lacks %q or the folder", err, c.want)
			}
		})
	}
}

func TestOpenRefusesAFolderWithoutManifest(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "manifest.json") {
		t.Errorf("error %v does not name the file", err)
	}
}

// sign writes the manifest with the true hashes of the files beside it.
func sign(t *testing.T, dir string, m inference.Manifest) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == inference.ManifestFile {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		sum := sha256.Sum256(data)
		m.Files[path] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, inference.ManifestFile), data)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	write(t, path, data)
}
