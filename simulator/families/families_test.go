package families_test

import (
	"strings"
	"testing"

	"meltwatch/simulator/families"
	"meltwatch/simulator/house"
)

func TestEveryFamilyIsMadeByItsName(t *testing.T) {
	if len(families.Currents()) < 4 || len(families.Pictures()) < 4 {
		t.Errorf("families %v, %v", families.Currents(), families.Pictures())
	}
	setting := house.Setting{Seed: 1, SetPoint: 12_000}
	for _, name := range families.Currents() {
		if c, err := families.Circuit(name, setting); err != nil || (c == nil) != (name == families.Arcs) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	for _, name := range families.Pictures() {
		if c, err := families.Camera(name, setting); err != nil || (c == nil) != (name == families.Scene) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if _, err := families.Circuit("steam", setting); err == nil || !strings.Contains(err.Error(), "arclength") {
		t.Errorf("an unknown family: %v", err)
	}
}
