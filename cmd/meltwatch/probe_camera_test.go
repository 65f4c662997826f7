package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meltwatch/commandline"
	"meltwatch/drivers/rtsp/probe"
	"meltwatch/drivers/rtsp/rtsptest"
	"meltwatch/simulator/serve"
)

// probingCamera runs meltwatch probe camera as the command line does.
func probingCamera(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var c commands
	parser, err := commandline.Parser(program(), &c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"probe", "camera", "--state", t.TempDir()}, arguments...)); err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = c.Probe.Camera.Run(t.Context(), outside{out: &out, errOut: &out})
	return out.String(), err
}

// builtPrograms returns the folder of the built children, or skips the test.
func builtPrograms(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "meltwatch-camera")); err != nil {
		t.Skip("SKIPPED, meltwatch-camera is not built: run make build")
	}
	return folder
}

func TestProbeCamera(t *testing.T) {
	programs := builtPrograms(t)
	sim, err := serve.Start(t.Context(), serve.Options{Seed: 4})
	if err != nil {
		t.Skipf("SKIPPED, no camera to probe: %v", err)
	}
	t.Cleanup(func() { sim.Close() })
	file := filepath.Join(t.TempDir(), "shell.png")
	text, err := probingCamera(t, sim.CameraURL(), "--programs", programs, "--save", file, "--crop", "10,20,200,100", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var r probe.Result
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	picture, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	size, err := png.DecodeConfig(picture)
	if err != nil || size.Width != r.Video.Width || size.Height != r.Video.Height || r.File != file {
		t.Errorf("a picture of %d×%d in %q, %v; the stream has %+v", size.Width, size.Height, r.File, err, r.Video)
	}
	if !strings.Contains(r.YAML, "crop: {x: 10, y: 20, width: 200, height: 100}") || !r.Transports[0].Works || r.Video.Codec != "H264" {
		t.Errorf("%s", text)
	}
}

// A refused log-in ends the program with an error, and shows no password.
func TestProbeCameraShowsNoPassword(t *testing.T) {
	programs := builtPrograms(t)
	camera := &rtsptest.Scripted{User: "viewer", Password: "right", Schemes: []string{"MD5"}, SDP: "v=0\r\n"}
	camera.Serve(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("geheim-1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range [][]string{nil, {"--json"}} {
		text, err := probingCamera(t, append(format, camera.URL(), "--programs", programs, "--save", "", "--username", "viewer", "--password-file", secret)...)
		if !errors.Is(err, errProbe) || !strings.Contains(text, "refused the log-in (401)") || strings.Contains(text+err.Error(), "geheim") {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestProbeCameraRefusesBadFlags(t *testing.T) {
	const url = "rtsp://127.0.0.1:1/x"
	for want, arguments := range map[string][]string{
		`"1,2,3" is not a crop: give X,Y,W,H`:    {url, "--crop", "1,2,3"},
		`"1,2,3,4,5" is not a crop`:              {url, "--crop", "1,2,3,4,5"},
		`"-1,2,30,40" is not a crop`:             {url, "--crop=-1,2,30,40"},
		`"0,0,0,0" is not a crop`:                {url, "--crop", "0,0,0,0"},
		"--transport must be one of":             {url, "--transport", "http"},
		"--password-file: ":                      {url, "--username", "u", "--password-file", "/nonexistent"},
		"--within 5m0s is out of bounds":         {url, "--within", "5m"},
		"URL: ":                                  {"http://127.0.0.1/x"},
		"start the camera's program":             {url, "--programs", "/nonexistent"},
		"expected \"<url>\"":                     {},
		"URL: holds a user or password":          {"rtsp://user:geheim@127.0.0.1/x"},
		"URL: holds a password in its path or q": {"rtsp://127.0.0.1/x?pwd=geheim"},
	} {
		text, err := probingCamera(t, arguments...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(text+err.Error(), "geheim") {
			t.Errorf("%v: error %v, want %q", arguments, err, want)
		}
	}
}
