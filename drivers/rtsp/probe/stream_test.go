package probe

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/rtsp/rtsptest"
)

// long skips the test in -short mode, as in the race detector's run.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("real time: left out by -short")
	}
}

// The figures are ffprobe's for the same stream.
func TestFiguresAgreeWithFFprobe(t *testing.T) {
	long(t)
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skipf("SKIPPED, nothing was compared: %v", err)
	}
	for _, c := range []struct {
		name string
		film []string
	}{
		{"H.264", append(rtsptest.H264("640x360", "10", 20), "-bsf:v", "dump_extra")},
		{"H.264 at 25", append(rtsptest.H264("320x240", "25", 25), "-profile:v", "baseline", "-bsf:v", "dump_extra")},
		{"H.265", []string{
			"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=10", "-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast",
			"-x265-params", "keyint=20:min-keyint=20:scenecut=0:log-level=none:repeat-headers=1", "-tune", "zerolatency",
		}},
		{"Motion JPEG", []string{
			"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=5", "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "6", "-huffman", "default",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			camera := &rtsptest.Scripted{}
			camera.Serve(t)
			camera.SDP = rtsptest.Stream(t.Context(), t, camera.Send, c.film...)
			judge := ffprobe(t, camera.URL())
			r, _ := probed(t, options(t, camera.URL()))
			v := r.Video
			codec := strings.ToLower(strings.NewReplacer("-", "", "H265", "hevc", "M", "m").Replace(v.Codec))
			if codec != judge.codec || judge.profile != "" && v.Profile != judge.profile {
				t.Errorf("%s %s, ffprobe says %s %s", v.Codec, v.Profile, judge.codec, judge.profile)
			}
			if v.Width != judge.width || v.Height != judge.height {
				t.Errorf("%d×%d, ffprobe says %d×%d", v.Width, v.Height, judge.width, judge.height)
			}
			if math.Abs(v.Rate-judge.rate) > 0.1*judge.rate {
				t.Errorf("%g pictures/s, ffprobe says %g", v.Rate, judge.rate)
			}
			if int(v.KeyFramePictures) != judge.keyDistance {
				t.Errorf("key frames %d pictures apart, ffprobe says %d", v.KeyFramePictures, judge.keyDistance)
			}
			if r.Clock.Plausible == nil || !*r.Clock.Plausible || !r.Usable() {
				t.Errorf("%+v %+v", r.Clock, r.Findings)
			}
		})
	}
}

type judged struct {
	codec, profile string
	width, height  int
	rate           float64
	keyDistance    int // in pictures
}

// ffprobe watches the stream for some seconds.
func ffprobe(t *testing.T, url string) judged {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-select_streams", "v", "-read_intervals", "%+6",
		"-show_entries", "stream=codec_name,profile,width,height:packet=pts_time,flags", "-of", "json", url)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe: %v %s", err, complaint.String())
	}
	var said struct {
		Streams []struct {
			Name    string `json:"codec_name"`
			Profile string `json:"profile"`
			Width   int    `json:"width"`
			Height  int    `json:"height"`
		} `json:"streams"`
		Packets []struct {
			Time  string `json:"pts_time"`
			Flags string `json:"flags"`
		} `json:"packets"`
	}
	if err := json.Unmarshal(text, &said); err != nil || len(said.Streams) != 1 || len(said.Packets) < 10 {
		t.Fatalf("ffprobe: %v %s", err, text)
	}
	j := judged{codec: said.Streams[0].Name, profile: said.Streams[0].Profile, width: said.Streams[0].Width, height: said.Streams[0].Height}
	if j.codec == "mjpeg" {
		j.codec, j.profile = "mjpeg", ""
	}
	last := -1
	for i, p := range said.Packets {
		if strings.HasPrefix(p.Flags, "K") {
			if last >= 0 {
				j.keyDistance = max(j.keyDistance, i-last)
			}
			last = i
		}
	}
	var times, steps []float64
	for _, p := range said.Packets {
		if at, err := strconv.ParseFloat(p.Time, 64); err == nil { // the first packets may lack one
			times = append(times, at)
		}
	}
	for i := 1; i < len(times); i++ {
		steps = append(steps, times[i]-times[i-1])
	}
	slices.Sort(steps)
	if len(steps) < 5 {
		t.Fatalf("ffprobe: times %s", text)
	}
	j.rate = 1 / steps[len(steps)/2] // a client that joins in the midst may see a step
	return j
}

// What does not fit is told with what to set.
func TestStreamsThatDoNotFit(t *testing.T) {
	long(t)
	inBand := []string{"-bsf:v", "dump_extra"}
	black := []string{"-f", "lavfi", "-i", "color=black:size=640x360:rate=10", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"}
	for _, c := range []struct {
		name   string
		camera *rtsptest.Scripted
		film   []string
		fault  bool
		key    string
		want   string
		yaml   string
	}{
		{"UDP alone", &rtsptest.Scripted{UDP: true}, rtsptest.H264("640x360", "10", 10), false, "camera.transport", "tcp does not work: the camera refuses RTP over TCP (461)", "transport: udp"},
		{"TCP alone", &rtsptest.Scripted{TCP: true}, rtsptest.H264("640x360", "10", 10), false, "camera.transport", "udp does not work: the camera refuses RTP over UDP (461)", "transport: auto"},
		{"key frames 6 s apart", &rtsptest.Scripted{}, rtsptest.H264("640x360", "10", 60), false, "camera.frozen_after", "key frames are 6 s apart", "frozen_after: 12s"},
		{"key frames 20 s apart", &rtsptest.Scripted{}, rtsptest.H264("640x360", "10", 200), false, "camera.frozen_after", "s apart or more", "frozen_after: "},
		{"one in two seconds", &rtsptest.Scripted{}, rtsptest.H264("640x360", "1/2", 2), false, "", "", "stale_after: 5s"},
		{"black", &rtsptest.Scripted{}, black, true, "", "the picture is black", "transport: auto"},
		{"still", &rtsptest.Scripted{}, append([]string{"-f", "lavfi", "-i", "smptebars=size=640x360:rate=10", "-pix_fmt", "yuv420p"}, black[4:]...), true, "", "the picture is frozen", "transport: auto"},
		{"MPEG-4", &rtsptest.Scripted{}, []string{"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=10", "-c:v", "mpeg4", "-g", "10"}, true, "", "is not supported: set H.264, H.265 or MJPEG", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.camera.Serve(t)
			film := c.film
			if c.name != "MPEG-4" {
				film = append(film, inBand...)
			}
			c.camera.SDP = rtsptest.Stream(t.Context(), t, c.camera.Send, film...)
			if strings.HasSuffix(c.name, "20 s apart") {
				time.Sleep(4 * time.Second) // a viewer that joins in the midst
			}
			r, _ := probed(t, options(t, c.camera.URL()))
			if c.want != "" && !hasFinding(r, c.fault, c.key, c.want) || r.Usable() == c.fault {
				t.Errorf("want a finding (fault %v) of %q with %q: %+v", c.fault, c.key, c.want, r.Findings)
			}
			if !strings.Contains(r.YAML, c.yaml) {
				t.Errorf("lacks %q:\n%s", c.yaml, r.YAML)
			}
		})
	}
}

// A log-in is accepted, by each scheme, and the password appears nowhere.
func TestAcceptedLogin(t *testing.T) {
	long(t)
	for scheme, offer := range map[string]string{"Basic": "Basic", "MD5": "Digest MD5", "SHA-256": "Digest SHA-256"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			c := &rtsptest.Scripted{User: "viewer", Password: password, Schemes: []string{scheme}}
			c.Serve(t)
			c.SDP = rtsptest.Stream(t.Context(), t, c.Send, append(rtsptest.H264("320x240", "10", 10), "-bsf:v", "dump_extra")...)
			o := options(t, c.URL())
			o.Settings.Username, o.Settings.Password, o.PasswordFile, o.Within = "viewer", password, "/etc/meltwatch/camera.password", MinWithin
			r, text := probed(t, o)
			if !r.Login.Accepted || r.Login.Refused || fmt.Sprint(r.Login.Offers) != "["+offer+"]" || !strings.Contains(text, "asks for "+offer+"; accepted") {
				t.Errorf("%+v", r.Login)
			}
			all, err := json.Marshal(r)
			if err != nil || bytes.Contains(all, []byte(password)) || !strings.Contains(r.YAML, "password_file: /etc/meltwatch/camera.password") {
				t.Errorf("%v %s", err, all)
			}
			if refused, accepted, _ := c.Logins(); refused > 0 || accepted == 0 {
				t.Errorf("%d refused, %d accepted", refused, accepted)
			}
		})
	}
}

// A size that changes meanwhile is told, and a camera with TLS is used over TCP alone.
func TestSizeThatChangesOverTLS(t *testing.T) {
	long(t)
	certificate, authorities := drivertest.SelfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	camera := &rtsptest.Scripted{TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	camera.Serve(t)
	began := time.Now()
	only := func(late bool) func([]byte) {
		return func(packet []byte) {
			if late == (time.Since(began) > 6*time.Second) {
				camera.Send(packet)
			}
		}
	}
	camera.SDP = rtsptest.Stream(t.Context(), t, only(false), append(rtsptest.H264("640x360", "10", 5), "-bsf:v", "dump_extra")...)
	rtsptest.Stream(t.Context(), t, only(true), append(rtsptest.H264("320x240", "10", 5), "-bsf:v", "dump_extra")...)
	began = time.Now()
	o := options(t, camera.URL())
	o.Settings.Authorities, o.CAFile = authorities, "/etc/meltwatch/camera-ca.pem"
	r, _ := probed(t, o)
	if !r.Usable() || !hasFinding(r, false, "camera.crop", "the picture changed its size while it was watched (changes: 1), last to 320×240") || r.Video.Width != 320 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(r.YAML, "ca_file: /etc/meltwatch/camera-ca.pem") || len(r.Transports) != 2 || !strings.Contains(r.Transports[1].Detail, "not encrypted") {
		t.Errorf("%+v\n%s", r.Transports, r.YAML)
	}
}
