package inference

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// offsetManifest is the good manifest of a model that answers local_loss.
func offsetManifest() Manifest {
	m := goodManifest()
	m.Offset = &Offset{
		ShiftsS: []float64{-2, -1, 0, 1, 2}, EventAmps: 3000, WindowSeconds: 2,
		ProminenceS: 1, Pool: 60, StepSPerMin: 0.2, MaxS: 2,
	}
	m.Signatures[Step].Outputs[LocalLoss] = Tensor{DType: "float32", Shape: []int{1, 5}}
	m.Signatures[Step].Outputs[Surprise] = Tensor{DType: "float32", Shape: []int{1, 1}}
	return m
}

// confident is the good manifest of a model whose offset has a confidence.
func confident() Manifest {
	m := offsetManifest()
	m.Offset.Confidence = &OffsetConfidence{MinWindows: 24, Threshold: 0.9, Intercept: -1.5, Features: map[string]Coefficient{}}
	for i, name := range OffsetFeatures {
		m.Offset.Confidence.Features[name] = Coefficient{Mean: float64(i), Std: 0.5, Weight: -0.25}
	}
	return m
}

func TestAManifestWithAnOffsetKeepsIt(t *testing.T) {
	for name, want := range map[string]Manifest{"without a confidence": offsetManifest(), "with a confidence": confident()} {
		t.Run(name, func(t *testing.T) { keepsWhatItSays(t, want) })
	}
}

func TestAnOffsetThatDoesNotFitIsRefusedByItsKey(t *testing.T) {
	cases := map[string]struct {
		breakIt func(*Manifest)
		want    string
	}{
		"local loss that nothing explains": {func(m *Manifest) { m.Offset = nil }, "offset: is missing, but step has the output local_loss"},
		"a section without its output":     {func(m *Manifest) { delete(m.Signatures[Step].Outputs, LocalLoss) }, "offset: is given, but step has no output local_loss"},
		"a loss for other shifts": {
			func(m *Manifest) {
				m.Signatures[Step].Outputs[LocalLoss] = Tensor{DType: "float32", Shape: []int{1, 4}}
			},
			"signatures.step.outputs.local_loss.shape: is [1 4]",
		},
		"shifts that fall":             {func(m *Manifest) { m.Offset.ShiftsS[3] = -1 }, "offset.shifts_s: are [-2 -1 0 -1 2]"},
		"a shift twice":                {func(m *Manifest) { m.Offset.ShiftsS[3] = 0 }, "offset.shifts_s"},
		"a shift that is not a number": {func(m *Manifest) { m.Offset.ShiftsS[0] = math.NaN() }, "offset.shifts_s"},
		"too few shifts":               {func(m *Manifest) { m.Offset.ShiftsS = []float64{-1, 0, 1} }, "offset.shifts_s: are 3, must be 5 to 200"},
		"no shifts":                    {func(m *Manifest) { m.Offset.ShiftsS = nil }, "offset.shifts_s: are 0"},
		"shifts without end":           {func(m *Manifest) { m.Offset.ShiftsS = make([]float64, 201) }, "offset.shifts_s: are 201"},
		"a shift beyond the window":    {func(m *Manifest) { m.Offset.ShiftsS[4] = 2.5 }, "offset.shifts_s: are [-2 -1 0 1 2.5], must be numbers within ±offset.window_seconds, 2"},
		"a shift of ages":              {func(m *Manifest) { m.Offset.ShiftsS[4], m.Offset.MaxS = 1e300, 1 }, "offset.shifts_s"},
		"shifts on one side":           {func(m *Manifest) { m.Offset.ShiftsS = []float64{0, 1, 2, 3, 4} }, "offset.shifts_s: are [0 1 2 3 4]"},
		"any window an event":          {func(m *Manifest) { m.Offset.EventAmps = 0 }, "offset.event_amps: is 0"},
		"another length of window":     {func(m *Manifest) { m.Offset.WindowSeconds = 120 }, "offset.window_seconds: is 120, the section current makes it 2"},
		"a dip below nothing":          {func(m *Manifest) { m.Offset.ProminenceS = -1 }, "offset.dip_s: is -1, must be 0 to 2"},
		"a dip wider than all":         {func(m *Manifest) { m.Offset.ProminenceS = 2.5 }, "offset.dip_s: is 2.5"},
		"a dip that is not a number":   {func(m *Manifest) { m.Offset.ProminenceS = math.NaN() }, "offset.dip_s"},
		"a pool of one":                {func(m *Manifest) { m.Offset.Pool = 1 }, "offset.pool: is 1, must be 4 to 3600"},
		"a pool without end":           {func(m *Manifest) { m.Offset.Pool = 1 << 30 }, "offset.pool"},
		"a correction that stands":     {func(m *Manifest) { m.Offset.StepSPerMin = 0 }, "offset.step_s_per_min: is 0"},
		"a correction that jumps":      {func(m *Manifest) { m.Offset.StepSPerMin = 61 }, "offset.step_s_per_min: is 61, must be above 0 and at most 60"},
		"a correction out of sight":    {func(m *Manifest) { m.Offset.MaxS = 3 }, "offset.most_s: is 3, must be above 0 and at most 2"},
		"no correction":                {func(m *Manifest) { m.Offset.MaxS = 0 }, "offset.most_s: is 0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := offsetManifest()
			c.breakIt(&m)
			err := m.Check()
			if err == nil {
				t.Fatal("no fault reported")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), exportRemedy) {
				t.Errorf("fault %q lacks %q or the remedy", err, c.want)
			}
		})
	}
}

func TestAConfidenceThatDoesNotFitIsRefusedByItsKey(t *testing.T) {
	feature := func(change func(*Coefficient)) func(*OffsetConfidence) {
		return func(c *OffsetConfidence) {
			of := c.Features["agreement"]
			change(&of)
			c.Features["agreement"] = of
		}
	}
	cases := map[string]struct {
		breakIt func(*OffsetConfidence)
		want    string
	}{
		"fewer windows than blocks":     {func(c *OffsetConfidence) { c.MinWindows = 11 }, "offset.confidence.min_windows: is 11, must be 12 to offset.pool, 60"},
		"more windows than are kept":    {func(c *OffsetConfidence) { c.MinWindows = 61 }, "offset.confidence.min_windows: is 61"},
		"known from the start":          {func(c *OffsetConfidence) { c.Threshold = 0 }, "offset.confidence.threshold: is 0, must be above 0 and at most 1"},
		"known never":                   {func(c *OffsetConfidence) { c.Threshold = 2 }, "offset.confidence.threshold: is 2"},
		"an intercept without a value":  {func(c *OffsetConfidence) { c.Intercept = math.NaN() }, "offset.confidence.intercept: is NaN, must be a finite number"},
		"no features":                   {func(c *OffsetConfidence) { c.Features = nil }, "offset.confidence.features.height: is missing"},
		"a feature less":                {func(c *OffsetConfidence) { delete(c.Features, "agreement") }, "offset.confidence.features.agreement: is missing"},
		"a feature of a newer program":  {func(c *OffsetConfidence) { c.Features["depth"] = Coefficient{Std: 1} }, `offset.confidence.features: is "depth", this program knows ["height" "agreement"`},
		"a feature without a spread":    {feature(func(f *Coefficient) { f.Std = 0 }), "offset.confidence.features.agreement.std: is 0, must be above 0"},
		"a feature of infinite spread":  {feature(func(f *Coefficient) { f.Std = math.Inf(1) }), "offset.confidence.features.agreement.std: is +Inf"},
		"a mean that is not a number":   {feature(func(f *Coefficient) { f.Mean = math.NaN() }), "offset.confidence.features.agreement.mean: is NaN"},
		"a weight that is not a number": {feature(func(f *Coefficient) { f.Weight = math.Inf(-1) }), "offset.confidence.features.agreement.weight: is -Inf"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := confident()
			c.breakIt(m.Offset.Confidence)
			err := m.Check()
			if err == nil {
				t.Fatal("no fault reported")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), exportRemedy) {
				t.Errorf("fault %q lacks %q or the remedy", err, c.want)
			}
		})
	}
}

// A key that is misspelt must not leave a coefficient at 0.
func TestAMisspeltKeyOfAConfidenceIsRefused(t *testing.T) {
	data, err := json.Marshal(confident())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"min_windows", "threshold", "intercept", "weight", "confidence"} {
		misspelt := strings.Replace(string(data), `"`+key+`"`, `"`+key+`s"`, 1)
		if _, err := parseManifest([]byte(misspelt)); err == nil || !strings.Contains(err.Error(), key+"s") {
			t.Errorf("%ss: %v", key, err)
		}
	}
}
