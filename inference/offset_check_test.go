package inference

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

func TestAManifestWithAnOffsetKeepsIt(t *testing.T) {
	want := offsetManifest()
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
		"too few shifts":               {func(m *Manifest) { m.Offset.ShiftsS = []float64{-1, 0, 1} }, "offset.shifts_s: are [-1 0 1], must be 5"},
		"no shifts":                    {func(m *Manifest) { m.Offset.ShiftsS = nil }, "offset.shifts_s"},
		"shifts on one side":           {func(m *Manifest) { m.Offset.ShiftsS = []float64{0, 1, 2, 3, 4} }, "offset.shifts_s: are [0 1 2 3 4]"},
		"any window an event":          {func(m *Manifest) { m.Offset.EventAmps = 0 }, "offset.event_amps: is 0"},
		"another length of window":     {func(m *Manifest) { m.Offset.WindowSeconds = 120 }, "offset.window_seconds: is 120, the section current makes it 2"},
		"a dip below nothing":          {func(m *Manifest) { m.Offset.ProminenceS = -1 }, "offset.dip_s: is -1, must be 0 to 2"},
		"a dip wider than all":         {func(m *Manifest) { m.Offset.ProminenceS = 2.5 }, "offset.dip_s: is 2.5"},
		"a dip that is not a number":   {func(m *Manifest) { m.Offset.ProminenceS = math.NaN() }, "offset.dip_s"},
		"a pool of one":                {func(m *Manifest) { m.Offset.Pool = 1 }, "offset.pool: is 1, must be 4 to 3600"},
		"a pool without end":           {func(m *Manifest) { m.Offset.Pool = 1 << 30 }, "offset.pool"},
		"a correction that stands":     {func(m *Manifest) { m.Offset.StepSPerMin = 0 }, "offset.step_s_per_min: is 0"},
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
