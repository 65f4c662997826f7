package inference

import (
	"math"
	"strings"
	"testing"
)

// familiarityManifest is the good manifest of a model that tells the familiarity of both
// senses.
func familiarityManifest() Manifest {
	m := goodManifest()
	m.Familiarity = &Familiarity{
		Current: &FamiliarityLevels{MeanMinutes: 10, Level: 0.2, HoldMinutes: 5},
		Video:   &FamiliarityLevels{MeanMinutes: 5, Level: 0.3},
	}
	for _, name := range []string{FamiliarityCurrent, FamiliarityVideo} {
		m.Signatures[Step].Outputs[name] = Tensor{DType: "float32", Shape: []int{1, 1}}
	}
	return m
}

func TestAManifestWithFamiliarityIsServed(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"both senses":         func(*Manifest) {},
		"one sense":           func(m *Manifest) { m.Familiarity.Current = nil },
		"outputs, no section": func(m *Manifest) { m.Familiarity = nil },
		"neither, as before":  func(m *Manifest) { *m = goodManifest() },
		"an event at once":    func(m *Manifest) { m.Familiarity.Video.MeanMinutes = 1 },
		"one output of the two": func(m *Manifest) {
			m.Familiarity.Video = nil
			delete(m.Signatures[Step].Outputs, FamiliarityVideo)
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := familiarityManifest()
			change(&want)
			keepsWhatItSays(t, want)
		})
	}
}

func TestFamiliarityThatDoesNotFitIsRefusedByItsKey(t *testing.T) {
	for name, c := range map[string]struct {
		breakIt func(*Manifest)
		want    string
	}{
		"levels without the output": {func(m *Manifest) { delete(m.Signatures[Step].Outputs, FamiliarityVideo) }, "familiarity.video: is given, but step has no output familiarity_video"},
		"an output in odd shape": {func(m *Manifest) {
			m.Signatures[Step].Outputs[FamiliarityCurrent] = Tensor{DType: "float32", Shape: []int{1, 16}}
		}, "signatures.step.outputs.familiarity_current.shape: is [1 16]"},
		"a mean of nothing":              {func(m *Manifest) { m.Familiarity.Current.MeanMinutes = 0 }, "familiarity.current.mean_minutes: is 0, must be 1 to 240"},
		"a mean of days":                 {func(m *Manifest) { m.Familiarity.Video.MeanMinutes = 241 }, "familiarity.video.mean_minutes: is 241"},
		"a level that nothing is under":  {func(m *Manifest) { m.Familiarity.Video.Level = 0 }, "familiarity.video.level: is 0"},
		"a level that all is under":      {func(m *Manifest) { m.Familiarity.Video.Level = 1.5 }, "familiarity.video.level: is 1.5"},
		"a level that is not a number":   {func(m *Manifest) { m.Familiarity.Current.Level = math.NaN() }, "familiarity.current.level: is NaN"},
		"held before it began":           {func(m *Manifest) { m.Familiarity.Current.HoldMinutes = -1 }, "familiarity.current.hold_minutes: is -1"},
		"held for longer than a day can": {func(m *Manifest) { m.Familiarity.Current.HoldMinutes = 1 << 40 }, "familiarity.current.hold_minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			m := familiarityManifest()
			c.breakIt(&m)
			if err := m.Check(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), exportRemedy) {
				t.Errorf("fault %v lacks %q or the remedy", err, c.want)
			}
		})
	}
}
