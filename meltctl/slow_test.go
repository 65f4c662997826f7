package main

import (
	"net"
	"testing"
	"time"
)

// slowMeter passes a meter on, each answer late.
func slowMeter(t *testing.T, target string, late time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				return
			}
			go pass(near, far, 0)
			go pass(far, near, late)
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
