package modbus

import (
	"context"
	"errors"
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

// address is the other end of a line.
type address struct {
	scheme string
	// target is host:port, or the device file of a serial line.
	target string
	serial config.Serial
}

// parseAddress parses a URL that the configuration has checked.
func parseAddress(raw string, serial config.Serial) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, errors.New("invalid URL")
	}
	switch u.Scheme {
	case schemeTCP, schemeRTUTCP:
		return address{scheme: u.Scheme, target: u.Host}, nil
	case schemeSerial:
		return address{scheme: u.Scheme, target: u.Path, serial: serial}, nil
	default:
		return address{}, fmt.Errorf("unknown scheme %q", u.Scheme)
	}
}

func (a address) framing() framing {
	if a.scheme == schemeTCP {
		return tcpFraming()
	}
	return rtuFraming()
}

// stream is an open line. Close from another goroutine ends a blocked Read.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// dial opens the line until ctx ends.
func dial(ctx context.Context, a address) (stream, error) {
	if a.scheme == schemeSerial {
		return openSerial(a.target, a.serial)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", a.target)
}
