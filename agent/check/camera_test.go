package check

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"meltwatch/agent"
	"meltwatch/agent/camera"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/rtsptest"
	"meltwatch/inference"
)

// programsForCamera returns the folder of the built camera program, or skips the test.
func programsForCamera(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "meltwatch-camera")); err != nil {
		t.Skip("meltwatch-camera is not built: run make build")
	}
	return folder
}

// cameraDocument returns a configuration for tests of its camera section.
func cameraDocument(t *testing.T, section string) string {
	t.Helper()
	return `{site: test, furnace: f1, mqtt: {broker: "tcp://127.0.0.1:1"},
meters: {main: {url: "tcp://127.0.0.1:1", fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}},
model: {path: ../../inference/models/product}, paths: {state: ` + t.TempDir() + `}, camera: {` + section + `}}`
}

func cameraChecker(t *testing.T, section string) *checker {
	t.Helper()
	c, err := config.Parse([]byte(cameraDocument(t, section)))
	if err != nil {
		t.Fatal(err)
	}
	manifest, _, err := inference.ReadManifest(c.Model.Path)
	if err != nil {
		t.Fatal(err)
	}
	k := newChecker(Options{Timeout: 15 * time.Second})
	k.config, k.manifest, k.hasModel = c, manifest, true
	return k
}

const describedVideo = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=control:video\r\na=rtpmap:96 H264/90000\r\n"

func refusing(code base.StatusCode) func(*base.Request) *base.Response {
	return func(r *base.Request) *base.Response {
		if r.Method != base.Describe {
			return nil
		}
		return &base.Response{StatusCode: code}
	}
}

// A camera's refusal is reported at once, by check and by run in the same words.
func TestCheckReportsARefusalOfTheCameraAtOnce(t *testing.T) {
	programs := programsForCamera(t)
	for _, c := range []struct {
		name, more string
		camera     *rtsptest.Scripted
		want       string
	}{
		{"401", "", &rtsptest.Scripted{SDP: describedVideo, Schemes: []string{"MD5"}}, "camera.username: the camera asks for a log-in (401)"},
		{"404", "", &rtsptest.Scripted{Answer: refusing(base.StatusNotFound)}, "camera.url: the camera has no stream at this path (404)"},
		{"453", "", &rtsptest.Scripted{Answer: refusing(base.StatusNotEnoughBandwidth)}, "the camera has no bandwidth left for this stream (453)"},
		{"461", ", transport: tcp", &rtsptest.Scripted{SDP: describedVideo, UDP: true}, "camera.transport: the camera refuses RTP over TCP (461); set udp or auto"},
		{"nobody there", "", nil, "refuses connections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := "rtsp://" + unusedAddress(t) + "/stream"
			if c.camera != nil {
				c.camera.Serve(t)
				url = c.camera.URL()
			}
			k := cameraChecker(t, `url: "`+url+`"`+c.more)
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), k.timeout)
			defer cancel()
			_, err := k.camera(ctx, programs)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("check: %v, want %s", err, c.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("check took %v", took)
			}
			if run := causeOfRun(t, k, programs); run != err.Error() {
				t.Errorf("check says %q, run says %q", err, run)
			}
		})
	}
}

func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// causeOfRun returns the fault that run reports for the same settings.
func causeOfRun(t *testing.T, k *checker, programs string) string {
	t.Helper()
	read := func() (drivers.CameraSettings, error) { return settings.Camera(k.config, k.manifest.Video) }
	now, err := read()
	if err != nil {
		t.Fatal(err)
	}
	client := camera.New(filepath.Join(programs, "meltwatch-camera"), now, read, slog.New(slog.DiscardHandler), &answered{ok: make(chan struct{})})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		if cause := client.Cause(); cause != "not opened yet" && cause != "no frame yet" && cause != "not configured yet" {
			return cause
		}
	}
	t.Fatal("run reports no fault")
	return ""
}

// Over any number of starts of check and run, a wrong password reaches the camera three
// times. A corrected file is used at once.
func TestWrongPasswordOverRestarts(t *testing.T) {
	programs := programsForCamera(t)
	source := &rtsptest.Scripted{User: "viewer", Password: "right", Schemes: []string{"MD5"}}
	source.Serve(t)
	source.SDP = rtsptest.Stream(t.Context(), t, source.Send, rtsptest.H264("640x360", "10", 5)...)
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, "wrong\n")
	k := cameraChecker(t, `url: "`+source.URL()+`", username: viewer, password_file: `+file)
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), k.timeout)
		_, err := k.camera(ctx, programs)
		cancel()
		if err == nil || !strings.HasPrefix(err.Error(), "camera.username, camera.password_file: the camera refused the log-in (401)") {
			t.Fatalf("check: %v", err)
		}
	}
	causeOfRun(t, k, programs)
	if refused, _, _ := source.Logins(); refused == 0 || refused > 3 {
		t.Errorf("%d log-ins refused", refused)
	}
	write(t, file, "right\n")
	ctx, cancel := context.WithTimeout(t.Context(), k.timeout)
	defer cancel()
	if detail, err := k.camera(ctx, programs); err != nil || !strings.Contains(detail, "640×360 pixels") {
		t.Errorf("check with the right password: %q, %v", detail, err)
	}
}

// check --offline refuses the camera settings that run refuses, in the same words, and
// does not change anything.
func TestOfflineRefusesWhatRunRefuses(t *testing.T) {
	for section, want := range map[string]string{
		`url: "rtsp://127.0.0.1:1/stream"`: "",
		`enabled: false`:                   "",
		`url: "rtsp://127.0.0.1:1/stream", username: a, password_file: /nonexistent/secret`: "camera.password_file: read secret",
		`url: "rtsps://127.0.0.1:1/stream", ca_file: /nonexistent/ca.pem`:                   "camera.ca_file: read secret",
		`url: "rtsp://127.0.0.1:0/stream"`:                                                  "camera.url",
		`url: "rtsp://127.0.0.1:1/stream?password=x"`:                                       "camera.url",
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		write(t, path, cameraDocument(t, section))
		var out bytes.Buffer
		ok := Run(t.Context(), Options{Path: path, Offline: true, Timeout: 15 * time.Second}, &out)
		said := out.String()
		c, err := config.Read(path)
		if err == nil {
			var env agent.Env
			if env, err = agent.Host(slog.New(slog.DiscardHandler), &slog.LevelVar{}, "test"); err != nil {
				t.Fatal(err)
			}
			_, err = agent.NewFixed(c, env)
		}
		if ok != (want == "") || !strings.Contains(said, want) {
			t.Errorf("%s: offline says %s", section, said)
		}
		if (err == nil) != ok || err != nil && !saysAll(said, err) {
			t.Errorf("%s: run says %v, offline says %s", section, err, said)
		}
	}
}

// saysAll reports whether the output holds each line of an error, but the name of the
// file that a refusal starts with.
func saysAll(said string, err error) bool {
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "config /") && !strings.Contains(said, strings.TrimSpace(line)) {
			return false
		}
	}
	return true
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
