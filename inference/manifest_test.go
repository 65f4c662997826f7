package inference

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goodManifest is a small manifest without faults.
func goodManifest() Manifest {
	m := Manifest{
		Format:  manifestFormat,
		Name:    "toy",
		Version: "1",
		Files: map[string]string{
			"saved_model.pb": strings.Repeat("0", 64),
			"golden.json":    strings.Repeat("a", 64),
		},
		Current: CurrentSpec{RateHz: 2, Samples: 4, Phases: 3, Unit: "A"},
		Video: VideoSpec{
			RateHz: 1, Frames: 2, Width: 5, Height: 6, Channels: "RGB", Resize: "area",
			Tokens: 4, Dim: 8, Background: []int{1, 6, 5, 1}, EvidenceRows: 2, EvidenceColumns: 3,
		},
		Labels:   []string{"normal", "abnormal"},
		Decision: Decision{MeanSeconds: 10, Enter: 0.7, Exit: 0.4, HoldSeconds: 10, FreezeBackground: 0.5, Suspect: &Suspect{MeanSeconds: 5, Enter: 0.8, Exit: 0.3, HoldSeconds: 5}},
		Rule:     Rule{CV120: 0.07, CV45: 0.05},
		Metrics:  map[string]float64{"accuracy": 0.9},
		Golden:   Golden{File: "golden.json", Tolerance: 1e-4},
	}
	m.Signatures = m.requiredSignatures()
	return m
}

func TestParseManifestKeepsEveryField(t *testing.T) {
	keepsWhatItSays(t, goodManifest())
}

// keepsWhatItSays writes a manifest, reads it, and wants it unchanged.
func keepsWhatItSays(t *testing.T, want Manifest) {
	t.Helper()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	have, err := parseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("manifest changed (-want +have):\n%s", diff)
	}
}

// TestCheckNamesTheKey breaks one thing at a time; the fault must name its key.
func TestCheckNamesTheKey(t *testing.T) {
	cases := map[string]struct {
		breakIt func(*Manifest)
		want    []string
	}{
		"another format":             {func(m *Manifest) { m.Format = 7 }, []string{"format: is 7"}},
		"no name":                    {func(m *Manifest) { m.Name = "" }, []string{"name: is missing"}},
		"no version":                 {func(m *Manifest) { m.Version = "" }, []string{"version: is missing"}},
		"no graph":                   {func(m *Manifest) { delete(m.Files, "saved_model.pb") }, []string{"files: saved_model.pb is missing"}},
		"file outside":               {func(m *Manifest) { m.Files["../x"] = strings.Repeat("0", 64) }, []string{"files.../x: leads out"}},
		"absolute file":              {func(m *Manifest) { m.Files["/etc/x"] = strings.Repeat("0", 64) }, []string{"files./etc/x: leads out"}},
		"own hash":                   {func(m *Manifest) { m.Files[ManifestFile] = strings.Repeat("0", 64) }, []string{"files.manifest.json: "}},
		"short hash":                 {func(m *Manifest) { m.Files["golden.json"] = "ab" }, []string{"files.golden.json: is not a sha256"}},
		"zero rate":                  {func(m *Manifest) { m.Current.RateHz = 0 }, []string{"current.rate_hz: is 0"}},
		"a rate of nanoseconds":      {func(m *Manifest) { m.Current.RateHz, m.Video.RateHz = 1e10, 1e10 }, []string{"current.rate_hz: is 1e+10, must be 0.001 to 1000", "video.rate_hz: is 1e+10"}},
		"a rate of ages":             {func(m *Manifest) { m.Current.RateHz, m.Video.RateHz = 1e-300, 1e-4 }, []string{"current.rate_hz: is 1e-300", "video.rate_hz: is 0.0001"}},
		"no samples":                 {func(m *Manifest) { m.Current.Samples = 0 }, []string{"current.samples: is 0"}},
		"negative phases":            {func(m *Manifest) { m.Current.Phases = -3 }, []string{"current.phases: is -3"}},
		"kiloamperes":                {func(m *Manifest) { m.Current.Unit = "kA" }, []string{`current.unit: is "kA"`}},
		"zero video rate":            {func(m *Manifest) { m.Video.RateHz = 0 }, []string{"video.rate_hz"}},
		"no frames":                  {func(m *Manifest) { m.Video.Frames = 0 }, []string{"video.frames"}},
		"blue first":                 {func(m *Manifest) { m.Video.Channels = "BGR" }, []string{`video.channels: is "BGR"`}},
		"unknown filter":             {func(m *Manifest) { m.Video.Resize = "lanczos" }, []string{`video.resize: is "lanczos"`}},
		"no background":              {func(m *Manifest) { m.Video.Background = nil }, []string{"video.background: is empty"}},
		"open background":            {func(m *Manifest) { m.Video.Background = []int{-1, 6, 5, 1} }, []string{"video.background: is -1"}},
		"half a grid":                {func(m *Manifest) { m.Video.EvidenceRows = 0 }, []string{"video.evidence_rows"}},
		"a gigantic frame":           {func(m *Manifest) { m.Video.Width = 1 << 20; m.Video.Height = 1 << 20 }, []string{"video: asks for a tensor"}},
		"no step":                    {func(m *Manifest) { delete(m.Signatures, Step) }, []string{"signatures.step: is missing"}},
		"a third function":           {func(m *Manifest) { m.Signatures["train"] = Signature{} }, []string{"signatures.train: is an unknown function"}},
		"input missing":              {func(m *Manifest) { delete(m.Signatures[Step].Inputs, "set_point") }, []string{"signatures.step.inputs.set_point: is missing"}},
		"input too many":             {func(m *Manifest) { m.Signatures[Step].Inputs["voltage"] = Tensor{} }, []string{"signatures.step.inputs.voltage: is an unknown tensor"}},
		"wrong type":                 {func(m *Manifest) { m.Signatures[EncodeFrame].Inputs["frame"] = Tensor{DType: "float32"} }, []string{`signatures.encode_frame.inputs.frame.dtype: is "float32"`}},
		"wrong shape":                {func(m *Manifest) { m.Video.Dim = 9 }, []string{"signatures.step.inputs.tokens.shape: is [1 2 4 8]", "signatures.encode_frame.outputs.tokens.shape"}},
		"no probability":             {func(m *Manifest) { delete(m.Signatures[Step].Outputs, PAbnormal) }, []string{"signatures.step.outputs.p_abnormal: is missing"}},
		"surprise in odd shape":      {func(m *Manifest) { m.Signatures[Step].Outputs[Surprise] = Tensor{DType: "float32", Shape: []int{1, 2}} }, []string{"signatures.step.outputs.surprise.shape"}},
		"known output in odd shape":  {func(m *Manifest) { m.Signatures[Step].Outputs[Alignment] = Tensor{DType: "float32", Shape: []int{3}} }, []string{"signatures.step.outputs.alignment.shape"}},
		"output of open size":        {func(m *Manifest) { m.Signatures[Step].Outputs["more"] = Tensor{DType: "float32", Shape: []int{1, -1}} }, []string{"signatures.step.outputs.more.shape: is -1"}},
		"labels the other way":       {func(m *Manifest) { m.Labels = []string{"abnormal", "normal"} }, []string{"labels: are"}},
		"mean of nothing":            {func(m *Manifest) { m.Decision.MeanSeconds = 0 }, []string{"decision.mean_seconds: is 0"}},
		"thresholds swapped":         {func(m *Manifest) { m.Decision.Exit = 0.9 }, []string{"decision.exit: is 0.9, above decision.enter"}},
		"certain entry":              {func(m *Manifest) { m.Decision.Enter = 1.5 }, []string{"decision.enter: is 1.5"}},
		"negative hold":              {func(m *Manifest) { m.Decision.HoldSeconds = -1 }, []string{"decision.hold_seconds: is -1"}},
		"suspicion of nothing":       {func(m *Manifest) { m.Decision.Suspect = &Suspect{} }, []string{"decision.suspect.mean_seconds: is 0", "decision.suspect.enter: is 0", "decision.suspect.exit: is 0"}},
		"suspicion swapped":          {func(m *Manifest) { m.Decision.Suspect.Exit = 0.9 }, []string{"decision.suspect.exit: is 0.9, above decision.suspect.enter"}},
		"certain suspicion":          {func(m *Manifest) { m.Decision.Suspect.Enter = 1.5 }, []string{"decision.suspect.enter: is 1.5"}},
		"suspicion held for hours":   {func(m *Manifest) { m.Decision.Suspect.HoldSeconds = 3601 }, []string{"decision.suspect.hold_seconds: is 3601"}},
		"suspicion of minutes":       {func(m *Manifest) { m.Decision.Suspect.MeanSeconds = 601 }, []string{"decision.suspect.mean_seconds: is 601"}},
		"background always frozen":   {func(m *Manifest) { m.Decision.FreezeBackground = 0 }, []string{"decision.freeze_background: is 0"}},
		"alone without outputs":      {func(m *Manifest) { m.Decision.FreezeAlone, m.Decision.FreezeAloneSeconds = 0.5, 60 }, []string{"decision.freeze_alone: needs the output p_current of step", "decision.freeze_alone: needs the output p_video of step"}},
		"alone without a bound":      {func(m *Manifest) { m.Decision.FreezeAlone = 0.5 }, []string{"decision.freeze_alone_seconds: is 0"}},
		"alone at any probability":   {func(m *Manifest) { m.Decision.FreezeAloneSeconds = 60 }, []string{"decision.freeze_alone: is 0"}},
		"one sense in odd shape":     {func(m *Manifest) { m.Signatures[Step].Outputs[PVideo] = Tensor{DType: "float32", Shape: []int{1}} }, []string{"signatures.step.outputs.p_video.shape"}},
		"rule without level":         {func(m *Manifest) { m.Rule = Rule{} }, []string{"rule.cv_120: is 0", "rule.cv_45: is 0"}},
		"golden vectors not hashed":  {func(m *Manifest) { m.Golden.File = "other.json" }, []string{`golden.file: "other.json" is not among files`}},
		"golden vectors too lenient": {func(m *Manifest) { m.Golden.Tolerance = 1 }, []string{"golden.tolerance: is 1"}},
		"several faults at once": {
			func(m *Manifest) { m.Name = ""; m.Decision.Enter = -1; m.Golden.Tolerance = 0 },
			[]string{"name: ", "decision.enter: ", "golden.tolerance: "},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := goodManifest()
			c.breakIt(&m)
			err := m.Check()
			if err == nil {
				t.Fatal("no fault reported")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("fault %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestManifestWithoutASuspicionIsServed(t *testing.T) {
	m := goodManifest()
	m.Decision.Suspect = nil
	data, err := json.Marshal(m)
	if err != nil || strings.Contains(string(data), "suspect") {
		t.Fatalf("%v in %s", err, data)
	}
	if have, err := parseManifest(data); err != nil || have.Decision.Suspect != nil {
		t.Errorf("%v, %+v", err, have.Decision)
	}
}

func TestCheckAcceptsOneSenseAloneAndItsFreezing(t *testing.T) {
	m := goodManifest()
	m.Decision.FreezeAlone, m.Decision.FreezeAloneSeconds = 0.5, 60
	for _, name := range []string{PCurrent, PVideo} {
		m.Signatures[Step].Outputs[name] = Tensor{DType: "float32", Shape: []int{1, 1}}
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

func TestCheckAcceptsAnOutputOfTheModelsOwn(t *testing.T) {
	m := goodManifest()
	m.Signatures[Step].Outputs["router_load"] = Tensor{DType: "float32", Shape: []int{1, 1}}
	if err := m.Check(); err != nil {
		t.Errorf("fault reported: %v", err)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"nothing":         {"", "decode manifest"},
		"another value":   {"[1]", "decode manifest"},
		"an unknown key":  {`{"format":1,"colour":"red"}`, `unknown field "colour"`},
		"a string number": {`{"format":1,"decision":{"enter":"0.5"}}`, "decode manifest"},
		// A newer format is reported as such, whatever other keys it has.
		"a newer format": {`{"format":2,"colour":"red"}`, "format: is 2, this program serves 1"},
		"an empty one":   {`{"format":1}`, "name: is missing"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parseManifest([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// writeModel lays a model folder out with true hashes.
func writeModel(t *testing.T, m Manifest, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ManifestFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

const (
	sumOfABC    = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	sumOfVacuum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of no bytes
)

func TestVerifyFiles(t *testing.T) {
	m := goodManifest()
	m.Files = map[string]string{"saved_model.pb": sumOfABC, "golden.json": sumOfVacuum}
	whole := map[string]string{"saved_model.pb": "abc", "golden.json": ""}
	t.Run("whole", func(t *testing.T) {
		if err := m.VerifyFiles(writeModel(t, m, whole)); err != nil {
			t.Error(err)
		}
	})
	cases := map[string]struct {
		files map[string]string
		want  string
	}{
		"one byte changed": {map[string]string{"saved_model.pb": "abd", "golden.json": ""}, "file saved_model.pb has sha256"},
		"one file missing": {map[string]string{"saved_model.pb": "abc"}, "golden.json"},
		"one file too many": {
			map[string]string{"saved_model.pb": "abc", "golden.json": "", "fingerprint.pb": ""},
			"file fingerprint.pb is not in the manifest",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := m.VerifyFiles(writeModel(t, m, c.files))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	t.Run("a link that leads out", func(t *testing.T) {
		dir := writeModel(t, m, map[string]string{"golden.json": ""})
		outside := filepath.Join(t.TempDir(), "graph")
		if err := os.WriteFile(outside, []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(dir, "saved_model.pb")); err != nil {
			t.Fatal(err)
		}
		if err := m.VerifyFiles(dir); err == nil {
			t.Error("a file outside the folder was accepted")
		}
	})
}

func TestReadManifestNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := ReadManifest(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v does not name %s", err, dir)
	}
	_, sum, err := ReadManifest(writeModel(t, goodManifest(), nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(sum) != 64 {
		t.Errorf("sha256 %q has not 64 digits", sum)
	}
}

func FuzzParseManifest(f *testing.F) {
	for _, m := range []Manifest{goodManifest(), offsetManifest(), confident(), familiarityManifest(), baselineManifest()} {
		good, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(good)
	}
	f.Add([]byte(`{"format":1,"video":{"background":[1,-1]},"files":{"..":""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		// Whatever was accepted can be served: its sizes are positive and bounded.
		for name, signature := range m.Signatures {
			for _, tensor := range signature.Inputs {
				if n := tensor.Elements(); n < 1 || n > maxElements {
					t.Errorf("%s takes a tensor of %d elements", name, n)
				}
			}
		}
		if err := m.CheckFrame(Frame{}); err == nil {
			t.Error("an empty frame passed")
		}
	})
}
