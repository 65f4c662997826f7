package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/login"
)

// Refusal is an error that a retry does not cure: a setting must be changed, here or in
// the camera.
type Refusal struct{ words string }

func (r Refusal) Error() string { return r.words }

// Refuse is the refusal of a stream that does not fit the settings.
func Refuse(cause error) error { return Refusal{cause.Error()} }

func refusef(format string, args ...any) error { return Refusal{fmt.Sprintf(format, args...)} }

// Unreachable is the error of a camera without a connection.
type Unreachable struct{ cause error }

func (u Unreachable) Error() string { return u.cause.Error() }
func (u Unreachable) Unwrap() error { return u.cause }

const unreadable = "the camera's answer is invalid RTSP: %s; check that camera.url names its RTSP port"

// explain turns an error of the session into one with a remedy. It never holds the URL
// or the password.
func explain(err error, s drivers.CameraSettings) error {
	var status liberrors.ErrClientBadStatusCode
	var refused Refusal
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &status):
		return explainStatus(status.Code, s)
	case errors.As(err, &liberrors.ErrClientAuthSetup{}):
		return refusef("camera.username: the camera offers no supported log-in; set Digest with MD5 or SHA-256 in the camera")
	case certificateFault(err) != "":
		return refusef("camera.ca_file: the camera's certificate is not trusted: %s", certificateFault(err))
	case errors.As(err, &tls.RecordHeaderError{}):
		return refusef("camera.url: the camera does not speak TLS at this port; give the port of RTSP over TLS, or write rtsp://")
	case errors.As(err, &liberrors.ErrClientTransportHeaderInvalid{}), errors.As(err, &liberrors.ErrClientServerPortsNotProvided{}):
		return refusef("camera.transport: the camera's answer to SETUP names no usable transport; set camera.transport to the other of tcp and udp")
	case errors.As(err, &liberrors.ErrClientUDPTimeout{}):
		return errors.New("camera.transport: the camera accepted RTP over UDP, but no packet arrived; a firewall may drop them; set tcp")
	case errors.As(err, &liberrors.ErrClientRequestTimedOut{}), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &liberrors.ErrClientTerminated{}), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("the camera takes connections but does not answer within %v (camera.timeout)", s.Timeout)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the camera closed the connection without an answer; check that camera.url names its RTSP port")
	case strings.Contains(err.Error(), "Content-Length exceeds"):
		return errors.New("the camera's description of its stream is longer than 128 KiB, which no camera's is; check camera.url")
	default:
		return fmt.Errorf(unreadable, clip(err.Error()))
	}
}

func explainStatus(code base.StatusCode, s drivers.CameraSettings) error {
	switch code {
	case base.StatusUnauthorized:
		if s.Username == "" {
			return refusef("camera.username: the camera asks for a log-in (401); set camera.username and camera.password_file")
		}
		return refusef("camera.username, camera.password_file: the camera refused the log-in (401); correct them")
	case base.StatusForbidden:
		return refusef("camera.username: the camera forbids this user to see the stream (403); allow it in the camera")
	case base.StatusNotFound:
		return refusef("camera.url: the camera has no stream at this path (404); take the path from the camera's manual")
	case base.StatusNotEnoughBandwidth:
		return refusef("the camera has no bandwidth left for this stream (453); end another viewer, or set a smaller stream in the camera")
	case base.StatusUnsupportedTransport:
		return refusef("camera.transport: %s", unsupportedTransport(s))
	case base.StatusMovedPermanently, base.StatusFound, base.StatusSeeOther, base.StatusUseProxy:
		return refusef("camera.url: the camera sends viewers to another address (%d), which is not followed with a password; write that address", code)
	default:
		return fmt.Errorf("the camera answers %d %s", code, clip(base.StatusMessages[code]))
	}
}

func unsupportedTransport(s drivers.CameraSettings) string {
	switch s.Transport {
	case drivers.TransportTCP:
		return "the camera refuses RTP over TCP (461); set udp or auto"
	case drivers.TransportUDP:
		return "the camera refuses RTP over UDP (461); set tcp or auto"
	default:
		return "the camera refuses RTP over TCP and over UDP (461); allow one of them in the camera"
	}
}

// certificateFault is the fault of the camera's certificate, empty for another error.
func certificateFault(err error) string {
	var name x509.HostnameError
	var stranger x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var failed *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name):
		return "it does not hold the host of camera.url; write the name or address that it holds"
	case errors.As(err, &stranger):
		return "its issuer is unknown; name the file with the issuer's certificate in camera.ca_file"
	case errors.As(err, &invalid):
		return clip(strings.TrimPrefix(invalid.Error(), "x509: "))
	case errors.As(err, &failed):
		return clip(failed.Err.Error())
	default:
		return ""
	}
}

// clip bounds a text from the camera and replaces control characters.
func clip(text string) string {
	const most = 120
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(clean) > most {
		clean = strings.ToValidUTF8(clean[:most], "") + "…"
	}
	return clean
}

// refusedLogin reports a refused log-in and the time of the next one.
func refusedLogin(times int, at time.Time) error {
	return refusef("camera.username, camera.password_file: the camera refused the log-in (401), %d of at most %d times in %v; the next try is at %s, or at once when the password's file, camera.username or camera.url changes",
		times, login.MaxRefusals, login.Window, at.UTC().Format("15:04:05 UTC"))
}
