package fleet

import (
	"encoding/json"
	"testing"
)

// The list says beside the model for which senses it is not made.
func TestTheListTellsUnfamiliarSenses(t *testing.T) {
	for state, want := range map[string]string{
		`{"state": "normal", "model": {"name": "product", "version": "0.4.1"}}`:                                                  "product 0.4.1",
		`{"state": "normal", "model": {"name": "product", "version": "0.4.1"}, "unfamiliar": {"current": false, "video": true}}`: "product 0.4.1 (unfamiliar: video)",
		`{"state": "normal", "model": {"name": "product", "version": "0.4.1"}, "unfamiliar": {"current": true, "video": false}}`: "product 0.4.1 (unfamiliar: current)",
		`{"state": "normal", "model": {"name": "own"}, "unfamiliar": {"current": true, "video": true}}`:                          "own (unfamiliar: current, video)",
		`{"state": "unknown"}`: "",
	} {
		var o overview
		if err := json.Unmarshal([]byte(state), &o); err != nil || o.model() != want {
			t.Errorf("%s: %q, %v, want %q", state, o.model(), err, want)
		}
	}
}
