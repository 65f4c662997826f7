package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/agent/beside"
	"meltwatch/config"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/rtsp/rtsptest"
	"meltwatch/simulator/serve"
)

// configured runs meltwatch probe configured on a configuration, in this process but for the
// priority, which a test must not lower for all others.
func configured(t *testing.T, document string) (parts []beside.Part, text string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meltwatch.yaml")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := config.ReadTolerated(path)
	if err != nil {
		t.Fatal(err)
	}
	var out, lines bytes.Buffer
	err = printBeside(t.Context(), s, true, outside{out: &out})
	for decoder := json.NewDecoder(bytes.NewReader(out.Bytes())); decoder.More(); {
		var p beside.Part
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
		if err := printPart(outside{out: &lines}, p); err != nil {
			t.Fatal(err)
		}
	}
	return parts, out.String() + lines.String(), err
}

func configuredDocument(t *testing.T, meter, camera string) string {
	t.Helper()
	return fmt.Sprintf(`{site: test, furnace: f1, mqtt: {broker: "tcp://127.0.0.1:1"}, state: {normal_current: 15000},
meters: {main: {url: %q, fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
paths: {state: %q, programs: %q}, camera: {%s}}`, meter, t.TempDir(), builtPrograms(t), camera)
}

func TestProbeConfigured(t *testing.T) {
	sim, err := serve.Start(t.Context(), serve.Options{Seed: 4})
	if err != nil {
		t.Skipf("SKIPPED, no camera to probe: %v", err)
	}
	t.Cleanup(func() { sim.Close() })
	parts, text, err := configured(t, configuredDocument(t, sim.MeterURL(), fmt.Sprintf(`url: %q, crop: {x: 10, y: 20, width: 200, height: 100}`, sim.CameraURL())))
	if err != nil && !errors.Is(err, errConfigured) || len(parts) != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	meters, camera := parts[0], parts[1]
	if meters.Name != beside.Meters || !meters.Answered || meters.Readings == nil || meters.Readings.Meter != "main" || meters.Readings.Verdict == "" {
		t.Errorf("meters %+v, %+v", meters, meters.Readings)
	}
	if camera.Name != beside.Camera || !camera.Answered || camera.Stream.Video.Codec != "H264" || camera.Stream.Video.Width == 0 || camera.Stream.Video.Rate == 0 ||
		camera.Stream.Video.KeyFrameSeconds == 0 || !strings.Contains(camera.Stream.YAML, "crop: {x: 10, y: 20, width: 200, height: 100}") {
		t.Errorf("camera %+v, %+v", camera, camera.Stream)
	}
	if !strings.Contains(text, "set-point") || !strings.Contains(text, "\ncamera:\n  enabled: true") {
		t.Errorf("%s", text)
	}
}

// The camera's refusal is a finding with its key and remedy; the password is in no output.
func TestProbeConfiguredShowsNoPassword(t *testing.T) {
	camera := &rtsptest.Scripted{User: "viewer", Password: "right", Schemes: []string{"MD5"}, SDP: "v=0\r\n"}
	camera.Serve(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("geheim-1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	meter := drivertest.Registers(t, nil, nil)
	parts, text, err := configured(t, configuredDocument(t, meter, fmt.Sprintf(`url: %q, username: viewer, password_file: %q`, camera.URL(), secret)))
	if !errors.Is(err, errConfigured) || strings.Contains(text, "geheim") || len(parts) != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	if f := parts[1].Findings; len(f) == 0 || f[0].Status != beside.Fail || f[0].Key != "camera.username, camera.password_file" || !strings.Contains(f[0].Detail, "401") || !parts[1].Answered {
		t.Errorf("%+v", parts[1])
	}
	if refused, _, _ := camera.Logins(); refused != 1 {
		t.Errorf("%d log-ins were refused, want one", refused)
	}
}
