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
			go passOn(near, target, late)
		}
	}()
	return "tcp://" + l.Addr().String()
}

func passOn(near net.Conn, target string, late time.Duration) {
	defer near.Close()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		defer near.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := far.Read(buffer)
			if err != nil {
				return
			}
			time.Sleep(late)
			if _, err := near.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 4096)
	for {
		n, err := near.Read(buffer)
		if err != nil {
			return
		}
		if _, err := far.Write(buffer[:n]); err != nil {
			return
		}
	}
}
