package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/login"
)

// session is an RTSP session that has been set up and does not play yet.
type session struct {
	client *gortsplib.Client
	media  *description.Media
	auth   *authenticator
}

// readTimeout is the library's timeout of an answer or a packet; opening and silence
// have their own limits.
const readTimeout = 2 * time.Minute

// connect logs in and sets the video up, over TCP if the camera offers it and over UDP
// otherwise, unless the settings name one. foreign receives the errors of packets that
// do not belong to the stream.
func connect(ctx context.Context, s drivers.CameraSettings, logins *login.Ledger, survey *Survey, foreign func(error)) (*session, error) {
	first := gortsplib.TransportTCP
	if s.Transport == drivers.TransportUDP {
		first = gortsplib.TransportUDP
	}
	l, err := setUp(ctx, s, logins, first, survey, foreign)
	var status liberrors.ErrClientBadStatusCode
	if s.Transport == drivers.TransportAuto && !drivers.Secure(s.URL) && errors.As(err, &status) && status.Code == base.StatusUnsupportedTransport {
		l, err = setUp(ctx, s, logins, gortsplib.TransportUDP, survey, foreign)
	}
	if err != nil {
		return nil, explain(err, s)
	}
	return l, nil
}

// setUp logs in and sets the video up over one transport.
func setUp(ctx context.Context, s drivers.CameraSettings, logins *login.Ledger, transport gortsplib.Transport, survey *Survey, foreign func(error)) (*session, error) {
	address, err := withCredentials(s)
	if err != nil {
		return nil, err
	}
	security, err := tlsConfig(s)
	if err != nil {
		return nil, err
	}
	auth := &authenticator{account: accountOf(s), logins: logins, survey: survey}
	client := &gortsplib.Client{
		Scheme: address.Scheme, Host: address.Host,
		Transport: &transport, AnyPortEnable: true,
		TLSConfig: security, ReadTimeout: readTimeout, WriteTimeout: s.Timeout,
		UserAgent: "meltwatch",
		OnRequest: auth.request, OnResponse: auth.response,
		OnTransportSwitch: func(error) {},
		OnPacketsLost:     survey.lost,
		OnDecodeError:     foreign,
	}
	if err := client.Start2(); err != nil {
		return nil, err
	}
	l := &session{client: client, auth: auth}
	if err := closeOnDone(ctx, client, func() error { return l.describe(address) }); err != nil {
		client.Close()
		return nil, auth.recordOutcome(err, false)
	}
	return l, nil
}

// closeOnDone closes the client if ctx ends before the work does.
func closeOnDone(ctx context.Context, client *gortsplib.Client, work func() error) error {
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()
	return work()
}

func (s *session) describe(address *base.URL) error {
	session, _, err := s.client.Describe(address)
	if err != nil {
		return err
	}
	for _, media := range session.Medias {
		if media.Type != description.MediaTypeVideo || media.IsBackChannel || len(media.Formats) == 0 {
			continue
		}
		s.media = decodableFirst(media)
		s.auth.survey.describe(s.media.Formats[0])
		return s.auth.retryStale(func() error {
			_, err := s.client.Setup(session.BaseURL, media, 0, 0)
			return err
		})
	}
	return refusef("camera.url: the camera describes no video at this path; take the path from the camera's manual")
}

// decodableFirst sorts the video formats before others of the same track, such as
// metadata.
func decodableFirst(media *description.Media) *description.Media {
	slices.SortStableFunc(media.Formats, func(a, b format.Format) int { return cmp.Compare(rank(a), rank(b)) })
	return media
}

func rank(f format.Format) int {
	switch f.(type) {
	case *format.H264, *format.H265, *format.MJPEG:
		return 0
	default:
		return 1
	}
}

func (s *session) play(ctx context.Context) error {
	return closeOnDone(ctx, s.client, func() error {
		return s.auth.retryStale(func() error {
			_, err := s.client.Play(nil)
			return err
		})
	})
}

func tlsConfig(s drivers.CameraSettings) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.Authorities == "" {
		return c, nil // the system's
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM([]byte(s.Authorities)) {
		return nil, refusef("camera.ca_file: holds no certificate in PEM")
	}
	return c, nil
}

// withCredentials is the URL for the library. It holds the password and must not be shown.
func withCredentials(s drivers.CameraSettings) (*base.URL, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, errors.New("camera.url: invalid URL")
	}
	if s.Username != "" {
		u.User = url.UserPassword(s.Username, s.Password)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), drivers.PortOf(u))
	}
	return (*base.URL)(u), nil
}

// checkReachable connects to the camera and disconnects, to distinguish an unreachable
// camera from one that refuses.
func checkReachable(ctx context.Context, s drivers.CameraSettings) error {
	u, err := url.Parse(s.URL)
	if err != nil {
		return errors.New("camera.url: invalid URL")
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), drivers.PortOf(u)))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Unreachable{refusef("camera.url: camera at %s port %s refuses connections; correct the address or the port", u.Hostname(), drivers.PortOf(u))}
	case errors.Is(err, context.DeadlineExceeded):
		return Unreachable{fmt.Errorf("camera at %s does not answer within %v (camera.timeout)", u.Hostname(), s.Timeout)}
	case err != nil:
		return Unreachable{fmt.Errorf("reach camera: %w", err)}
	}
	return conn.Close()
}
