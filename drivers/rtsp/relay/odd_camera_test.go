package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/rtsptest"
)

// plainCamera answers in lines of its own, so that letters, spaces and headers are
// what a test wants.
func plainCamera(t *testing.T, network, at string, answer func(r *base.Request) string) (address string) {
	t.Helper()
	l, err := net.Listen(network, at)
	if err != nil {
		t.Skip(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					var r base.Request
					if r.Unmarshal(in) != nil {
						return
					}
					text := answer(&r)
					if text == "" {
						return
					}
					if _, err := io.WriteString(c, text); err != nil {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func oddly(r *base.Request, sdp, more string) string {
	seq := r.Header["CSeq"][0]
	switch r.Method {
	case base.Describe:
		return fmt.Sprintf("RTSP/1.0 200 OK\r\ncseq: %s\r\n%scontent-type: application/sdp\r\ncontent-length: %d\r\n\r\n%s", seq, more, len(sdp), sdp)
	case base.Setup:
		return fmt.Sprintf("RTSP/1.0 200 OK\r\ncseq:%s\r\ntransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1234;mode=\"PLAY\"\r\nsession: 12345678 ; timeout=5\r\n\r\n", seq)
	}
	return fmt.Sprintf("RTSP/1.0 200 OK\r\ncseq: %s\r\npublic: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\nsession: 12345678\r\n\r\n", seq)
}

// What cameras write in their own way, and a correct server does not, costs no
// picture.
func TestOddCameras(t *testing.T) {
	h265 := strings.Replace(plainSDP, "H264", "H265", 1)
	for name, c := range map[string]struct {
		sdp, more, path, network, at string
		setup                        string // in the URL of SETUP
	}{
		"lower case":            {sdp: plainSDP},
		"base relative":         {sdp: plainSDP, more: "content-base: /stream/\r\n"},
		"base of a stranger":    {sdp: plainSDP, more: "Content-Base: rtsp://192.168.1.108:554/stream/\r\n"},
		"base without port":     {sdp: plainSDP, more: "Content-Base: rtsp://127.0.0.1/stream/\r\n"},
		"base rubbish":          {sdp: plainSDP, more: "Content-Base: <none>\r\n"},
		"base empty":            {sdp: plainSDP, more: "Content-Base: \r\n"},
		"content location":      {sdp: plainSDP, more: "Content-Location: rtsp://127.0.0.1/stream/\r\n"},
		"absolute control":      {sdp: strings.Replace(plainSDP, "a=control:video", "a=control:rtsp://10.0.0.9:554/stream/video", 1), setup: "video"},
		"no control":            {sdp: strings.Replace(plainSDP, "a=control:video\r\n", "", 1)},
		"control star":          {sdp: strings.Replace(plainSDP, "a=control:video", "a=control:*", 1), setup: "/stream"},
		"ipv6":                  {sdp: plainSDP, network: "tcp6", at: "[::1]:0"},
		"query":                 {sdp: plainSDP, path: "/cam/realmonitor?channel=1&subtype=0", setup: "channel=1&subtype=0"},
		"escapes":               {sdp: plainSDP, path: "/a%20b/%E2%82%AC%2Fx", setup: "/a%20b/%E2%82%AC%2Fx"},
		"space":                 {sdp: plainSDP, path: "/a b", setup: "/a%20b"},
		"two videos":            {sdp: plainSDP + "m=video 0 RTP/AVP 97\r\na=control:second\r\na=rtpmap:97 H265/90000\r\n", setup: "/video"},
		"h265":                  {sdp: h265},
		"line ends alone":       {sdp: strings.ReplaceAll(plainSDP, "\r\n", "\n")},
		"no final end":          {sdp: strings.TrimSuffix(plainSDP, "\r\n")},
		"no origin":             {sdp: strings.Replace(plainSDP, "o=- 0 0 IN IP4 127.0.0.1\r\n", "", 1)},
		"no name or time":       {sdp: strings.Replace(strings.Replace(plainSDP, "s=cam\r\n", "", 1), "t=0 0\r\n", "", 1)},
		"origin short":          {sdp: strings.Replace(plainSDP, "o=- 0 0 IN IP4 127.0.0.1", "o=- 0 0 IN IP4", 1)},
		"odd attribute":         {sdp: strings.Replace(plainSDP, "a=control:video", "a=framerate:\r\na=x-dimensions:abc\r\nb=XX:-1\r\na=control:video", 1)},
		"clock rate":            {sdp: strings.Replace(plainSDP, "90000", "1000", 1)},
		"several payloads":      {sdp: strings.Replace(plainSDP, "RTP/AVP 96\r\n", "RTP/AVP 96 99\r\na=rtpmap:99 vnd.onvif.metadata/90000\r\n", 1)},
		"data before the video": {sdp: strings.Replace(plainSDP, "RTP/AVP 96\r\n", "RTP/AVP 99 96\r\na=rtpmap:99 vnd.onvif.metadata/90000\r\n", 1)},
		"odd header":            {sdp: strings.Replace(plainSDP, "s=cam\r\n", "s=\r\ni=\r\nu=::\r\ne=@\r\nb=AS:x\r\nz=1\r\nk=prompt\r\na=\r\nx=1\r\nnoise\r\n", 1)},
		"static jpeg":           {sdp: "v=0\r\no=- 0 0 IN IP4 0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:trackID=1\r\n", setup: "trackID=1"},
		"port range":            {sdp: strings.Replace(plainSDP, "m=video 0 ", "m=video 0/2 ", 1)},
		"savpf":                 {sdp: strings.Replace(plainSDP, "RTP/AVP", "RTP/AVPF", 1)},
		"sendonly":              {sdp: strings.Replace(plainSDP, "a=control:video", "a=sendonly\r\na=control:video", 1)},
		"recvonly":              {sdp: strings.Replace(plainSDP, "a=control:video", "a=recvonly\r\na=control:video", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			if c.network == "" {
				c.network, c.at = "tcp4", "127.0.0.1:0"
			}
			asked := ""
			address := plainCamera(t, c.network, c.at, func(r *base.Request) string {
				if r.Method == base.Setup {
					asked = r.URL.String()
				}
				return oddly(r, c.sdp, c.more)
			})
			if c.path == "" {
				c.path = "/stream"
			}
			u := "rtsp://" + address + c.path
			if _, err := url.Parse(u); err != nil {
				t.Fatal(err)
			}
			if err := attempt(t, settings(u), login.Open("")); err != nil {
				t.Error(err)
			}
			if !strings.Contains(asked, c.setup) || asked == "" {
				t.Errorf("SETUP of %s, want %s", asked, c.setup)
			}
		})
	}
}

func TestOddAnswers(t *testing.T) {
	with := func(method base.Method, code base.StatusCode, name, value string) func(*base.Request) *base.Response {
		return func(r *base.Request) *base.Response {
			if r.Method != method {
				return nil
			}
			header := base.Header{"Session": {"1"}, "Transport": {"RTP/AVP/TCP;unicast;interleaved=0-1"}}
			header[name] = base.HeaderValue{value}
			return &base.Response{StatusCode: code, Header: header}
		}
	}
	for name, answer := range map[string]func(*base.Request) *base.Response{
		"no OPTIONS, 400":     with(base.Options, base.StatusBadRequest, "Public", ""),
		"no OPTIONS, 404":     with(base.Options, base.StatusNotFound, "Public", ""),
		"no OPTIONS, 405":     with(base.Options, base.StatusMethodNotAllowed, "Public", ""),
		"no OPTIONS, 501":     with(base.Options, base.StatusNotImplemented, "Public", ""),
		"timeout no number":   with(base.Setup, base.StatusOK, "Session", "1;timeout=abc"),
		"timeout below 0":     with(base.Setup, base.StatusOK, "Session", "1;timeout=-5"),
		"timeout 0":           with(base.Setup, base.StatusOK, "Session", "1;timeout=0"),
		"timeout with a unit": with(base.Setup, base.StatusOK, "Session", "1; Timeout = 60 sec"),
		"no session":          with(base.Setup, base.StatusOK, "Session", ""),
		"lower case":          with(base.Setup, base.StatusOK, "Transport", "rtp/avp/tcp;unicast;interleaved=0-1"),
		"no channels":         with(base.Setup, base.StatusOK, "Transport", "RTP/AVP/TCP;unicast"),
		"other channels":      with(base.Setup, base.StatusOK, "Transport", " RTP/AVP/TCP;unicast;interleaved=4-5;ssrc=zz"),
	} {
		t.Run(name, func(t *testing.T) {
			camera := &rtsptest.Scripted{SDP: plainSDP, Answer: answer}
			camera.Serve(t)
			if err := attempt(t, settings(camera.URL()), login.Open("")); err != nil {
				t.Error(err)
			}
		})
	}
}
