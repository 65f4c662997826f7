package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"meltwatch/commandline"
	"meltwatch/drivers/modbus/probe"
	"meltwatch/simulator/serve"
)

// probing runs meltwatch probe modbus as the command line does.
func probing(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var c commands
	parser, err := commandline.Parser(program(), &c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"probe", "modbus"}, arguments...)); err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = c.Probe.Modbus.Run(t.Context(), outside{out: &out, errOut: &out})
	return out.String(), err
}

func TestProbeModbus(t *testing.T) {
	sim, err := serve.Start(t.Context(), serve.Options{Seed: 4, WordOrder: "CDAB", NoCamera: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	began := time.Now()
	text, err := probing(t, sim.MeterURL(), "--rate", "200", "--within", "10s")
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	for _, want := range []string{"current_a: {address: 0, function: 3, type: float32, order: CDAB}", "set_point: {address: 6,", "with base: 1", "meltwatch check"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	text, err = probing(t, sim.MeterURL(), "--rate", "200", "--within", "10s", "--json", "--unit", "1", "--registers", "0-24")
	if err != nil {
		t.Fatal(err)
	}
	var r probe.Result
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Candidates) == 0 || r.Candidates[0].Order != "CDAB" || r.Candidates[0].Address != [3]int{0, 2, 4} || !r.Likely || !strings.Contains(r.YAML, "order: CDAB") {
		t.Errorf("%+v", r)
	}
}

// At its usual pace, with what the device refuses, the probe ends within 20 s.
func TestProbeModbusEndsInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 14 s")
	}
	t.Parallel()
	sim, err := serve.Start(t.Context(), serve.Options{Seed: 4, NoCamera: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	began := time.Now()
	text, err := probing(t, sim.MeterURL())
	if err != nil || !strings.Contains(text, "current_a: {address: 0,") {
		t.Errorf("error %v:\n%s", err, text)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestProbeModbusRefusesBadFlags(t *testing.T) {
	for want, arguments := range map[string][]string{
		"give it as 1-5":             {"tcp://127.0.0.1:1", "--unit", "5-1"},
		"--rate 0 is out of bounds":  {"tcp://127.0.0.1:1", "--rate", "0"},
		"URL: scheme":                {"http://127.0.0.1:1"},
		"expected \"<url>\"":         {},
		"tcp://127.0.0.1:1: connect": {"tcp://127.0.0.1:1"},
	} {
		if _, err := probing(t, arguments...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", arguments, err, want)
		}
	}
}
