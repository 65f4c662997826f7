package drivertest

import (
	"net"
	"strings"
	"testing"
	"time"
)

// SlowMeter is a proxy that delays each answer of a Modbus TCP meter, for tests of
// polls that are faster than the meter. url and what it returns are tcp://host:port.
func SlowMeter(t *testing.T, url string, late time.Duration) string {
	t.Helper()
	return Serve(t, func(near net.Conn) {
		far, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "tcp://"))
		if err != nil {
			near.Close()
			return
		}
		go pass(near, far, 0)
		pass(far, near, late)
	})
}

// Serve passes each connection to handle, in a goroutine of its own, until the test
// ends. url is tcp://host:port.
func Serve(t *testing.T, handle func(net.Conn)) (url string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go handle(conn)
		}
	}()
	return "tcp://" + l.Addr().String()
}

func pass(from, to net.Conn, late time.Duration) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		time.Sleep(late)
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
