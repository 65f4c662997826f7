package meters

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"meltwatch/agent/health"
	"meltwatch/config"
	"meltwatch/drivers/modbus"
)

// Health combines all meters: a healthy meter does not hide a faulty one.
func TestHealthOfSeveralMeters(t *testing.T) {
	registry := health.NewRegistry()
	p := NewMonitor(registry.Add("meters", time.Minute))
	p.Note(modbus.Report{Meter: "main", Invalid: "current_a: 0x8000 (int16) means not available", Counters: modbus.Counters{Polls: 5, Invalid: 2}})
	p.Note(modbus.Report{Meter: "plc", Degraded: []string{"set_point: no answer"}, Quirks: []string{"echo"}, Counters: modbus.Counters{Polls: 7, Errors: 1}})
	s := registry.Snapshot()["meters"]
	if s.Status != "fault" || s.Error != "meters.main: current_a: 0x8000 (int16) means not available" {
		t.Errorf("%s: %s", s.Status, s.Error)
	}
	if s.Counters["polls"] != 12 || s.Counters["invalid"] != 2 || s.Counters["errors"] != 1 {
		t.Errorf("counters %v", s.Counters)
	}
	if fmt.Sprint(s.Degraded, s.Manners) != "[meters.plc.fields.set_point: no answer] [meters.plc: echo]" {
		t.Errorf("degraded %q, manners %q", s.Degraded, s.Manners)
	}
	p.Note(modbus.Report{Meter: "main"})
	p.Note(modbus.Report{Meter: "plc"})
	if s = registry.Snapshot()["meters"]; s.Status != "ok" || s.Degraded != nil {
		t.Errorf("%s, degraded %q after the recovery", s.Status, s.Degraded)
	}
}

// A change of the meters with invalid currents makes no progress.
func TestInvalidPollsAreNoProgress(t *testing.T) {
	s := NewReadiness(map[string]config.Meter{"main": {Period: time.Second}})
	for range 10 {
		s.Note(modbus.Report{Meter: "main", Invalid: "current_a: gives 65535 A"})
	}
	if err := s.Missing(); err == nil || !strings.Contains(err.Error(), "meters.main: not 3 good polls in a row: current_a: gives 65535 A") {
		t.Errorf("missing %v", err)
	}
	for range 3 {
		s.Note(modbus.Report{Meter: "main"})
	}
	if err := s.Missing(); err != nil {
		t.Error(err)
	}
}
