package modbus

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"meltwatch/config"
)

// The schemes of a meter's URL.
const (
	schemeTCP    = "tcp"
	schemeRTUTCP = "rtuovertcp"
	schemeSerial = "rtu"
)

// address is where a line leads.
type address struct {
	scheme string
	// target is host:port, or the device file of a serial line.
	target string
	serial config.Serial
}

func parseAddress(raw string, serial config.Serial) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, fmt.Errorf("not a URL; write tcp://host:502, rtuovertcp://host:port or rtu:///dev/ttyUSB0")
	}
	switch u.Scheme {
	case schemeTCP, schemeRTUTCP:
		if u.Hostname() == "" || u.Port() == "" {
			return address{}, fmt.Errorf("%q names no host and port; write %s://host:502", raw, u.Scheme)
		}
		return address{scheme: u.Scheme, target: u.Host}, nil
	case schemeSerial:
		if u.Host != "" || u.Path == "" {
			return address{}, fmt.Errorf("%q names no device; write rtu:///dev/ttyUSB0 with three slashes", raw)
		}
		return address{scheme: u.Scheme, target: u.Path, serial: serial}, nil
	default:
		return address{}, fmt.Errorf("%q is not a kind of line; write tcp://, rtuovertcp:// or rtu://", u.Scheme)
	}
}

func (a address) framing() framing {
	if a.scheme == schemeTCP {
		return tcpFraming()
	}
	return rtuFraming()
}

// silence is how long a serial line must rest before a request: 3.5 characters
// of 11 bits, and a fixed 1.75 ms above 19,200 baud (Serial Line V1.02
// §2.5.1.1). On RTU over TCP the gateway keeps it.
func (a address) silence() time.Duration {
	switch {
	case a.scheme != schemeSerial:
		return 0
	case a.serial.Baud > 19200:
		return 1750 * time.Microsecond
	default:
		return time.Duration(3.5 * 11 * float64(time.Second) / float64(a.serial.Baud))
	}
}

// stream is an open line. Close from another goroutine ends a blocked Read.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// dial opens the line; it gives up when ctx ends.
func dial(ctx context.Context, a address) (stream, error) {
	if a.scheme == schemeSerial {
		return openSerial(a.target, a.serial)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", a.target)
}
