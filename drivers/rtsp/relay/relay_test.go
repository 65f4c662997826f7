package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"go.uber.org/goleak"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const plainSDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=control:video\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"

const password = "p@ss:w0rd#1"

func settings(url string) drivers.CameraSettings {
	return drivers.CameraSettings{URL: url, Transport: drivers.TransportAuto, Timeout: 3 * time.Second}
}

func timeout() time.Duration { return 3 * time.Second }

// attempt opens the camera once and returns why not.
func attempt(t *testing.T, s drivers.CameraSettings, logins *login.Ledger) error {
	t.Helper()
	began := time.Now()
	stream, err := Open(t.Context(), s, logins, timeout, 0, &Survey{})
	if took := time.Since(began); took > s.Timeout+10*time.Second {
		t.Errorf("took %v at a timeout of %v", took, s.Timeout)
	}
	if err != nil {
		return err
	}
	stream.Close()
	return nil
}

func says(code base.StatusCode, method base.Method) func(*base.Request) *base.Response {
	return func(r *base.Request) *base.Response {
		if r.Method != method {
			return nil
		}
		return &base.Response{StatusCode: code, Header: base.Header{"Location": {"rtsp://192.0.2.1/other"}}}
	}
}

func writes(text string, repeated bool) func(net.Conn) bool {
	return func(conn net.Conn) bool {
		request := make([]byte, 4096)
		if _, err := conn.Read(request); err != nil {
			return true
		}
		for _, err := io.WriteString(conn, text); err == nil && repeated; _, err = io.WriteString(conn, text) {
		}
		_, _ = io.Copy(io.Discard, conn)
		return true
	}
}

// Whatever a camera answers, the error names what is wrong and where to mend it,
// in time, and never the password; refusals are distinguished from temporary faults.
func TestAnswersOfTheCamera(t *testing.T) {
	for _, c := range []struct {
		name    string
		camera  *rtsptest.Scripted
		change  func(*drivers.CameraSettings)
		want    string
		refusal bool
	}{
		{"all well", &rtsptest.Scripted{SDP: plainSDP}, nil, "", false},
		{"digest MD5", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"MD5"}}, nil, "", false},
		{"digest SHA-256", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"SHA-256"}}, nil, "", false},
		{"both digests and Basic", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"Basic", "MD5", "SHA-256", "Basic"}}, nil, "", false},
		{"each challenge answered once", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"SHA-256"}, SingleUse: true}, nil, "", false},
		{"wrong password at each challenge", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"MD5"}, SingleUse: true}, func(s *drivers.CameraSettings) { s.Password = "wr0ng" }, "camera.username, camera.password_file: the camera refused the log-in (401), 1 of at most 3 times", true},
		{"log-in refused at PLAY", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"MD5"}, Answer: says(base.StatusUnauthorized, base.Play)}, nil, "camera.username, camera.password_file: the camera refused the log-in (401), 1 of at most 3 times", true},
		{"Basic alone", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"Basic"}}, nil, "", false},
		{"a digest that is not known", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"SHA-512-256"}}, nil, "camera.username: the camera offers no supported log-in", true},
		{"UDP alone", &rtsptest.Scripted{SDP: plainSDP, UDP: true}, nil, "", false},
		{"UDP alone and a log-in", &rtsptest.Scripted{SDP: plainSDP, UDP: true, Schemes: []string{"SHA-256"}}, nil, "", false},
		{"UDP alone, TCP asked", &rtsptest.Scripted{SDP: plainSDP, UDP: true}, func(s *drivers.CameraSettings) { s.Transport = drivers.TransportTCP }, "camera.transport: the camera refuses RTP over TCP (461); set udp or auto", true},
		{"TCP alone, UDP asked", &rtsptest.Scripted{SDP: plainSDP, TCP: true}, func(s *drivers.CameraSettings) { s.Transport = drivers.TransportUDP }, "camera.transport: the camera refuses RTP over UDP (461); set tcp or auto", true},
		{"neither", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusUnsupportedTransport, base.Setup)}, nil, "camera.transport: the camera refuses RTP over TCP and over UDP (461)", true},
		{"wrong password", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"MD5"}}, func(s *drivers.CameraSettings) { s.Password = "wr0ng" }, "camera.username, camera.password_file: the camera refused the log-in (401), 1 of at most 3 times", true},
		{"log-in missing", &rtsptest.Scripted{SDP: plainSDP, Schemes: []string{"MD5"}}, func(s *drivers.CameraSettings) { s.Username = "" }, "camera.username: the camera asks for a log-in (401)", true},
		{"403", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusForbidden, base.Describe)}, nil, "camera.username: the camera forbids", true},
		{"404", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusNotFound, base.Describe)}, nil, "camera.url: the camera has no stream at this path (404)", true},
		{"404 at SETUP", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusNotFound, base.Setup)}, nil, "camera.url: the camera has no stream at this path (404)", true},
		{"453", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusNotEnoughBandwidth, base.Setup)}, nil, "the camera has no bandwidth left for this stream (453)", true},
		{"453 at PLAY", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusNotEnoughBandwidth, base.Play)}, nil, "the camera has no bandwidth left for this stream (453)", true},
		{"503", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusServiceUnavailable, base.Describe)}, nil, "the camera answers 503", false},
		{"redirection", &rtsptest.Scripted{SDP: plainSDP, Answer: says(base.StatusFound, base.Describe)}, nil, "camera.url: the camera sends viewers to another address (302)", true},
		{"sound and data that cannot be read", &rtsptest.Scripted{SDP: strings.Replace(plainSDP, "m=video", "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000\r\nm=application 0 ?\r\nm=video", 1)}, nil, "", false},
		{"parameter sets that cannot be read", &rtsptest.Scripted{SDP: strings.Replace(strings.Replace(plainSDP, "mode=1", "mode=1; sprop-sps=AAAA; sprop-vps=???", 1), "H264", "H265", 1)}, nil, "", false},
		{"audio alone", &rtsptest.Scripted{SDP: strings.ReplaceAll(strings.ReplaceAll(plainSDP, "m=video", "m=audio"), "H264/90000", "opus/48000/2")}, nil, "camera.url: the camera describes no video", true},
		{"invalid description", &rtsptest.Scripted{SDP: "<html>"}, nil, "the camera's answer is invalid RTSP", false},
		{"description too long", &rtsptest.Scripted{SDP: plainSDP + strings.Repeat("a=x\r\n", 40_000)}, nil, "the camera's description of its stream is longer than 128 KiB", false},
		{"silent", &rtsptest.Scripted{OnConnect: writes("", false)}, nil, "the camera takes connections but does not answer within 3s", false},
		{"hangs up", &rtsptest.Scripted{OnConnect: func(net.Conn) bool { return true }}, nil, "the camera closed the connection without an answer", false},
		{"endless headers", &rtsptest.Scripted{OnConnect: writes("RTSP/1.0 200 OK\r\nA: "+strings.Repeat("b", 60)+"\r\n"+strings.Repeat("C: d\r\n", 500), true)}, nil, "the camera", false},
		{"endless line", &rtsptest.Scripted{OnConnect: writes("RTSP/1.0 200 "+strings.Repeat("x", 4096), true)}, nil, "the camera", false},
		{"endless noise", &rtsptest.Scripted{OnConnect: writes(strings.Repeat("\x00\xff", 2048), true)}, nil, "the camera", false},
		{"endless packets before an answer", &rtsptest.Scripted{OnConnect: writes("$\x00\x10\x00"+strings.Repeat("x", 4096), true)}, nil, "the camera", false},
		{"a web server", &rtsptest.Scripted{OnConnect: writes("HTTP/1.1 400 Bad Request\r\n\r\n", false)}, nil, "the camera", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			camera := c.camera
			camera.User, camera.Password = "viewer", password
			camera.Serve(t)
			s := settings(camera.URL())
			s.Username, s.Password = "viewer", password
			if c.change != nil {
				c.change(&s)
			}
			err := attempt(t, s, login.Open(""))
			if c.want == "" && !c.refusal {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
			} else if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if got := errors.As(err, &Refusal{}); got != c.refusal {
				t.Errorf("error %v counts as a refusal: %v", err, got)
			}
			if err != nil && (strings.Contains(err.Error(), "w0rd") || strings.Contains(err.Error(), "wr0ng")) {
				t.Errorf("the error gives the password away: %v", err)
			}
			_, _, readable := camera.Logins()
			if onlyBasic := len(c.camera.Schemes) == 1 && c.camera.Schemes[0] == "Basic"; !onlyBasic && readable > 0 {
				t.Error("the password was sent readable although a digest was offered")
			}
		})
	}
}

func TestCameraThatIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "rtsp://" + listener.Addr().String() + "/stream"
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	err = attempt(t, settings(url), login.Open(""))
	if !errors.As(err, &Unreachable{}) || !errors.As(err, &Refusal{}) || !strings.Contains(err.Error(), "refuses connections") {
		t.Errorf("error %v", err)
	}
}

// However often it is tried, by however many processes, a wrong password reaches
// the camera three times; another one reaches it at once.
func TestWrongPasswordIsSentThreeTimes(t *testing.T) {
	camera := &rtsptest.Scripted{SDP: plainSDP, User: "viewer", Password: "right", Schemes: []string{"MD5"}}
	camera.Serve(t)
	s := settings(camera.URL())
	s.Username, s.Password = "viewer", "wrong"
	path := filepath.Join(t.TempDir(), "logins.json")
	for process := range 12 {
		logins := login.OpenAt(path, time.Duration(process)*2*time.Minute)
		for range 3 {
			if err := attempt(t, s, logins); err == nil || !strings.Contains(err.Error(), "(401)") {
				t.Fatalf("process %d: %v", process, err)
			}
		}
	}
	if refused, _, _ := camera.Logins(); refused != login.MaxRefusals {
		t.Errorf("%d log-ins refused in 24 minutes, want %d", refused, login.MaxRefusals)
	}
	s.Password = "right"
	if err := attempt(t, s, login.OpenAt(path, 24*time.Minute)); err != nil {
		t.Errorf("the right password: %v", err)
	}
}

// A camera that hangs up in the middle of a log-in refused nothing.
func TestUnansweredLoginIsNotCounted(t *testing.T) {
	camera := &rtsptest.Scripted{SDP: plainSDP, User: "viewer", Password: "right", Schemes: []string{"MD5"}}
	camera.Answer = func(r *base.Request) *base.Response {
		if _, with := r.Header["Authorization"]; with {
			return &base.Response{}
		}
		return nil
	}
	camera.Serve(t)
	s := settings(camera.URL())
	s.Username, s.Password = "viewer", "right"
	logins := login.Open("")
	for range 2 * login.MaxRefusals {
		if err := attempt(t, s, logins); err == nil || strings.Contains(err.Error(), "401") {
			t.Fatalf("error %v", err)
		}
	}
}

func TestSilentCameraEndsTheStream(t *testing.T) {
	camera := &rtsptest.Scripted{SDP: plainSDP}
	camera.Serve(t)
	ends(t, opened(t, camera), "sent nothing for 3")
}

func TestOpenEndsWithItsContext(t *testing.T) {
	camera := &rtsptest.Scripted{OnConnect: writes("", false)}
	camera.Serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	s := settings(camera.URL())
	s.Timeout = time.Minute
	if _, err := Open(ctx, s, login.Open(""), timeout, 0, &Survey{}); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
