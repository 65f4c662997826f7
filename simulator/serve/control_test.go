package serve

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"meltwatch/simulator/furnace"
)

func TestTheSideChannelTellsTheTruth(t *testing.T) {
	s := serving(t, Options{Seed: 3, Scenario: furnace.Scenario{
		Segments: []furnace.Segment{{State: furnace.Abnormal, Seconds: 60}},
	}})
	side := httptest.NewServer(s.Control())
	defer side.Close()
	reply, err := http.Get(side.URL + "/truth")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var got struct {
		State    string
		Severity float64
		Label    int
		Onset    *float64 `json:"onset_s"`
		Elapsed  float64  `json:"elapsed_s"`
		Meter    string   `json:"meter_fault"`
	}
	if err := json.NewDecoder(reply.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.State != "abnormal" || got.Severity != 1 || got.Label != 1 || got.Meter != "none" {
		t.Errorf("truth is %+v", got)
	}
	if got.Onset == nil || *got.Onset != 0 || got.Elapsed < 0 {
		t.Errorf("onset %v, elapsed %v, want an onset at the start", got.Onset, got.Elapsed)
	}
}

func TestOnsetIsNullWhileNothingIsWrong(t *testing.T) {
	text, err := json.Marshal(serving(t, Options{}).Truth())
	if err != nil || !strings.Contains(string(text), `"onset_s":null`) {
		t.Errorf("truth is %s, %v", text, err)
	}
}

func TestTheSideChannelSwitchesFaultsOrNone(t *testing.T) {
	s := serving(t, Options{})
	side := httptest.NewServer(s.Control())
	defer side.Close()
	for _, c := range []struct {
		query, says string
		status      int
		then        MeterFault
	}{
		{"meter=silent", "", http.StatusNoContent, MeterSilent},
		{"meter=odd", `"odd" is not one of`, http.StatusBadRequest, MeterSilent},
		{"meter=none&camera=odd", `camera fault: "odd"`, http.StatusBadRequest, MeterSilent},
		{"metre=none", "give meter=", http.StatusBadRequest, MeterSilent},
		{"meter=none&meter=late", "once each", http.StatusBadRequest, MeterSilent},
		{"", "give meter= or camera=", http.StatusBadRequest, MeterSilent},
		{"meter=none", "", http.StatusNoContent, MeterFine},
	} {
		reply, err := http.Post(side.URL+"/fault?"+c.query, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reply.Body)
		reply.Body.Close()
		if err != nil || reply.StatusCode != c.status || !strings.Contains(string(text), c.says) {
			t.Errorf("%q: %d %s %v, want %d %s", c.query, reply.StatusCode, text, err, c.status, c.says)
		}
		if now := s.Truth().MeterFault; now != c.then {
			t.Errorf("after %q the meter's fault is %s, want %s", c.query, now, c.then)
		}
	}
	reply, err := http.Get(side.URL + "/fault?meter=late")
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET /fault: %d, want it refused", reply.StatusCode)
	}
}
