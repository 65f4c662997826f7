package inference

// Familiarity is when a sense counts as unlike what the model learnt, from the outputs
// FamiliarityCurrent and FamiliarityVideo; chosen on validation batches for at most one
// false event in 240 h. A sense without levels never counts so.
type Familiarity struct {
	Current *FamiliarityLevels `json:"current,omitempty"`
	Video   *FamiliarityLevels `json:"video,omitempty"`
}

// FamiliarityLevels belong to one sense.
type FamiliarityLevels struct {
	// MeanMinutes is the length of the mean of the sense's familiarity, in minutes in which
	// it is known.
	MeanMinutes int `json:"mean_minutes"`
	// Level is the mean under which the sense counts as unfamiliar, and from which it
	// counts as familiar again.
	Level float64 `json:"level"`
	// HoldMinutes is for how many further minutes the mean must stay on its side of Level.
	HoldMinutes int `json:"hold_minutes"`
}

// maxFamiliarityMinutes bounds the lengths of the mean and of the hold.
const maxFamiliarityMinutes = 240

// checkFamiliarity checks the section familiarity. The outputs need no section: without it
// they are published only.
func (m Manifest) checkFamiliarity(f *faults) {
	if m.Familiarity == nil {
		return
	}
	for _, sense := range []struct {
		key, output string
		levels      *FamiliarityLevels
	}{
		{"familiarity.current", FamiliarityCurrent, m.Familiarity.Current},
		{"familiarity.video", FamiliarityVideo, m.Familiarity.Video},
	} {
		if sense.levels == nil {
			continue
		}
		if _, ok := m.Signatures[Step].Outputs[sense.output]; !ok {
			f.add(sense.key, "is given, but step has no output %s; %s", sense.output, exportRemedy)
		}
		sense.levels.check(f, sense.key)
	}
}

func (l FamiliarityLevels) check(f *faults, key string) {
	if l.MeanMinutes < 1 || l.MeanMinutes > maxFamiliarityMinutes {
		f.add(key+".mean_minutes", "is %d, must be 1 to %d; %s", l.MeanMinutes, maxFamiliarityMinutes, exportRemedy)
	}
	f.within(key+".level", l.Level, 1)
	if l.HoldMinutes < 0 || l.HoldMinutes > maxFamiliarityMinutes {
		f.add(key+".hold_minutes", "is %d, must be 0 to %d; %s", l.HoldMinutes, maxFamiliarityMinutes, exportRemedy)
	}
}
