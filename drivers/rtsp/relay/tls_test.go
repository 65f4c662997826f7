package relay

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/rtsptest"
)

// Over rtsps nobody but the camera that is meant hears of the password.
func TestTheCamerasCertificateIsVerified(t *testing.T) {
	good, goodPEM := drivertest.SelfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	_, strangerPEM := drivertest.SelfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	other, otherPEM := drivertest.SelfSigned(t, "camera.example", time.Now().Add(time.Hour))
	old, oldPEM := drivertest.SelfSigned(t, "127.0.0.1", time.Now().Add(-time.Hour))
	for _, c := range []struct {
		name        string
		certificate tls.Certificate
		authorities string
		want        string
	}{
		{"the camera's own", good, goodPEM, ""},
		{"a stranger's, by the system's roots", good, "", "camera.ca_file: the camera's certificate is not trusted: its issuer is unknown"},
		{"a stranger's, by ours", good, strangerPEM, "camera.ca_file: the camera's certificate is not trusted"},
		{"of another host", other, otherPEM, "camera.ca_file: the camera's certificate is not trusted: it does not hold the host of camera.url"},
		{"expired", old, oldPEM, "camera.ca_file: the camera's certificate is not trusted: certificate has expired"},
		{"no authority", good, "text", "camera.ca_file: holds no certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			camera := &rtsptest.Scripted{
				SDP: plainSDP, User: "viewer", Password: password, Schemes: []string{"Basic"}, // the worst case
				TLS: &tls.Config{Certificates: []tls.Certificate{c.certificate}, MinVersion: tls.VersionTLS12},
			}
			camera.Serve(t)
			s := settings(camera.URL())
			s.Username, s.Password, s.Authorities = "viewer", password, c.authorities
			err := attempt(t, s, login.Open(""))
			_, _, readable := camera.Logins()
			if c.want == "" {
				if err != nil || readable == 0 {
					t.Errorf("error %v after %d log-ins", err, readable)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !errors.As(err, &Refusal{}) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if readable > 0 {
				t.Error("the password was sent")
			}
		})
	}
}

// A camera without TLS is identified, and a camera that refuses TCP over TLS is not
// asked for UDP, which would not be encrypted.
func TestTLSAndPlainAreNotMixed(t *testing.T) {
	plain := &rtsptest.Scripted{SDP: plainSDP}
	plain.Serve(t)
	s := settings(strings.Replace(plain.URL(), "rtsp:", "rtsps:", 1))
	if err := attempt(t, s, login.Open("")); err == nil {
		t.Error("TLS with a camera that speaks none")
	}
	certificate, text := drivertest.SelfSigned(t, "127.0.0.1", time.Now().Add(time.Hour))
	udp := &rtsptest.Scripted{SDP: plainSDP, UDP: true, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	udp.Serve(t)
	s = settings(udp.URL())
	s.Authorities = text
	if err := attempt(t, s, login.Open("")); err == nil || !strings.HasPrefix(err.Error(), "camera.transport: ") {
		t.Errorf("error %v", err)
	}
}
