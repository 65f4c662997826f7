package probe

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/camera"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/rtsp/rtsptest"
)

// The test binary is its own camera child, the real one.
func TestMain(m *testing.M) {
	if os.Getenv("MELTWATCH_CHILD_FD") == "" {
		flag.Parse()
		if err := flag.Set("test.parallel", "4"); err != nil { // they wait for streams more than they work
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	if err := camera.Serve(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const plainSDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=control:video\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"

const password = "p@ss:w0rd#1"

func options(t *testing.T, url string) Options {
	t.Helper()
	defaults := config.Default().Camera
	return Options{
		Program: os.Args[0], Within: 25 * time.Second,
		Settings: drivers.CameraSettings{
			URL: url, Transport: drivers.TransportAuto, Decode: drivers.DecodeAuto, Timeout: 3 * time.Second, Logins: filepath.Join(t.TempDir(), "camera-logins.json"),
			StaleAfter: defaults.StaleAfter, FrozenAfter: defaults.FrozenAfter, BlackAfter: defaults.BlackAfter,
		},
	}
}

func probed(t *testing.T, o Options) (Result, string) {
	t.Helper()
	began := time.Now()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	var text strings.Builder
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), password) {
		t.Error("the password is printed")
	}
	t.Logf("%v\n%s", time.Since(began).Round(100*time.Millisecond), text.String())
	return r, text.String()
}

func answering(code base.StatusCode, method base.Method) func(*base.Request) *base.Response {
	return func(r *base.Request) *base.Response {
		if r.Method != method {
			return nil
		}
		return &base.Response{StatusCode: code}
	}
}

// A camera that refuses is reported within seconds, with the reason and the setting; and
// a wrong password reaches it once.
func TestRefusals(t *testing.T) {
	certificate, _ := drivertest.SelfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	for _, c := range []struct {
		name   string
		camera *rtsptest.Scripted
		login  string
		change func(*Options)
		key    string
		want   string
	}{
		{"log-in asked for, Digest", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"SHA-256", "MD5"}}, "", nil, "camera.username", "asks for a log-in (401)"},
		{"log-in asked for, Basic", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"Basic"}}, "", nil, "camera.username", "asks for a log-in (401)"},
		{"wrong password, MD5", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"MD5"}}, "wrong", nil, "camera.username, camera.password_file", "refused the log-in (401)"},
		{"wrong password, SHA-256", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"SHA-256"}}, "wrong", nil, "camera.username, camera.password_file", "refused the log-in (401)"},
		{"wrong path", &rtsptest.Scripted{SDP: plainSDP, Answer: answering(base.StatusNotFound, base.Describe)}, "", nil, "camera.url", "404"},
		{"forbidden", &rtsptest.Scripted{SDP: plainSDP, Answer: answering(base.StatusForbidden, base.Describe)}, "", nil, "camera.username", "403"},
		{"no bandwidth", &rtsptest.Scripted{SDP: plainSDP, Answer: answering(base.StatusNotEnoughBandwidth, base.Setup)}, "", nil, "", "453"},
		{"no transport", &rtsptest.Scripted{SDP: plainSDP, Answer: answering(base.StatusUnsupportedTransport, base.Setup)}, "", nil, "camera.transport", "461"},
		{"moved", &rtsptest.Scripted{SDP: plainSDP, Answer: answering(base.StatusMovedPermanently, base.Describe)}, "", nil, "camera.url", "another address"},
		{"no video", &rtsptest.Scripted{SDP: strings.Replace(plainSDP, "m=video", "m=audio", 1)}, "", nil, "camera.url", "no video"},
		{"too large", &rtsptest.Scripted{SDP: strings.Replace(plainSDP, "packetization-mode=1", "packetization-mode=1; sprop-parameter-sets="+base64.StdEncoding.EncodeToString(rtsptest.SPS(8192, 4608))+",aO48gA==", 1)}, "", nil, "", "is larger than 4096×2304; set a smaller stream"},
		{"TLS by a stranger", &rtsptest.Scripted{SDP: plainSDP, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}, "", nil, "camera.ca_file", "issuer is unknown"},
		{"silent", &rtsptest.Scripted{SDP: plainSDP}, "", func(o *Options) { o.Settings.Timeout = time.Second }, "", "has sent nothing for"},
		{"silent over UDP", &rtsptest.Scripted{SDP: plainSDP, UDP: true}, "", nil, "camera.transport", "no packet arrived; a firewall may drop"},
		{"nothing listens", nil, "", nil, "camera.url", "refuses connections"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := "rtsp://127.0.0.1:1/stream"
			if c.camera != nil {
				c.camera.User, c.camera.Password = "viewer", password
				c.camera.Serve(t)
				url = c.camera.URL()
			}
			o := options(t, url)
			if c.login != "" {
				o.Settings.Username, o.Settings.Password = "viewer", c.login
			}
			if c.change != nil {
				c.change(&o)
			}
			began := time.Now()
			r, text := probed(t, o)
			if took := time.Since(began); took > 20*time.Second { // 2 to 6 s on a machine at rest
				t.Errorf("took %v", took)
			}
			if r.Usable() || r.YAML != "" || !hasFinding(r, true, c.key, c.want) {
				t.Errorf("want a fault of %q with %q: %+v", c.key, c.want, r.Findings)
			}
			if c.camera == nil {
				return
			}
			refused, _, _ := c.camera.Logins()
			if most := min(1, len(c.login)); refused != most || r.Login.Refused != (most == 1) {
				t.Errorf("%d log-ins refused, want %d; %+v", refused, most, r.Login)
			}
			if len(c.camera.Schemes) > 0 && !strings.Contains(text, strings.Replace(c.camera.Schemes[0], "Basic", "asks for Basic", 1)) {
				t.Errorf("the offered log-in is missing: %v", r.Login.Offers)
			}
		})
	}
}

func hasFinding(r Result, fault bool, key, detail string) bool {
	for _, f := range r.Findings {
		if f.Fault == fault && f.Key == key && strings.Contains(f.Detail, detail) {
			return true
		}
	}
	return false
}

// With the count of refusals at its limit no password is sent, whatever program used the
// attempts up.
func TestTheCountOfRefusalsIsShared(t *testing.T) {
	c := &rtsptest.Scripted{SDP: plainSDP, User: "viewer", Password: password, Schemes: []string{"MD5"}}
	c.Serve(t)
	o := options(t, c.URL())
	o.Settings.Username, o.Settings.Password = "viewer", "wrong"
	for range 3 {
		if r, _ := probed(t, o); !hasFinding(r, true, "camera.username, camera.password_file", "the next try is at") {
			t.Errorf("%+v", r.Findings)
		}
	}
	if refused, _, _ := c.Logins(); refused != 1 {
		t.Errorf("%d passwords were sent within 10 s, want 1", refused)
	}
}

// What the command line gives is checked as the configuration is, in its words.
func TestInvalidOptions(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"URL: ":                          func(o *Options) { o.Settings.URL = "http://127.0.0.1/x" },
		"URL: holds a password":          func(o *Options) { o.Settings.URL = "rtsp://127.0.0.1/x?password=geheim" },
		"--username: is missing":         func(o *Options) { o.PasswordFile = "/tmp/x" },
		"--transport: udp is not":        func(o *Options) { o.Settings.URL, o.Settings.Transport = "rtsps://127.0.0.1/x", "udp" },
		"--ca-file: needs a camera of":   func(o *Options) { o.CAFile = "/tmp/x" },
		"--timeout: ":                    func(o *Options) { o.Settings.Timeout = time.Hour },
		"--crop: ":                       func(o *Options) { o.Settings.Crop = drivers.Rect{X: 1, Y: 1, Width: 4, Height: 4} },
		"--within 1m0s is out of bounds": func(o *Options) { o.Within = time.Minute },
	} {
		o := options(t, "rtsp://127.0.0.1:1/x")
		change(&o)
		_, err := Run(t.Context(), o)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// Pixels under the crop's outline are bright, its inside is the picture.
func TestTheCropIsDrawn(t *testing.T) {
	camera := &rtsptest.Scripted{}
	camera.Serve(t)
	camera.SDP = rtsptest.Stream(t.Context(), t, camera.Send, append(rtsptest.H264("640x360", "10", 10), "-bsf:v", "dump_extra")...)
	o := options(t, camera.URL())
	o.Settings.Crop = drivers.Rect{X: 200, Y: 100, Width: 300, Height: 200}
	r, text := probed(t, o)
	if !r.Usable() || r.Image == nil || r.Image.Bounds().Dx() != 640 || r.Image.Bounds().Dy() != 360 {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"transport tcp  works", "transport udp  works", "key frames     1 s apart (10 pictures)", "crop: {x: 200, y: 100, width: 300, height: 200}", "transport: auto"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q", want)
		}
	}
	checkDrawn(t, r, o.Settings.Crop)
	if _, err := config.Parse([]byte(surroundings + r.YAML)); err != nil {
		t.Error(err)
	}
	o.Settings.Crop = drivers.Rect{X: 600, Y: 300, Width: 100, Height: 100}
	o.Within = MinWithin
	if r, _ := probed(t, o); r.Usable() || !hasFinding(r, true, "camera.crop", "reaches out of the camera's 640×360 picture") {
		t.Errorf("%+v", r.Findings)
	}
}
