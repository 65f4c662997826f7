package drivertest

import (
	"net"
	"sync"
	"testing"
)

// Single is a Modbus TCP meter that serves one connection at a time, as many gateways do.
type Single struct {
	// Holds is what becomes of another connection: Closes, Ignores or Replaces.
	Holds     Hold
	Registers []uint16

	mu     sync.Mutex
	serves net.Conn
	opened int
}

// Hold is what a meter with one connection does with another one.
type Hold string

// The kinds in use.
const (
	Closes   Hold = "closes it at once"
	Ignores  Hold = "never answers it"
	Replaces Hold = "closes the older one"
)

// Serve starts the meter; it ends with the test. url is tcp://host:port.
func (s *Single) Serve(t *testing.T) (url string) {
	t.Helper()
	return Serve(t, func(conn net.Conn) {
		defer conn.Close()
		if s.admits(t, conn) {
			serveRegisters(conn, s.Registers, nil)
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.serves == conn {
				s.serves = nil
			}
		}
	})
}

// Opened is how many connections were opened.
func (s *Single) Opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

func (s *Single) admits(t *testing.T, conn net.Conn) bool {
	s.mu.Lock()
	s.opened++
	older := s.serves
	if older == nil || s.Holds == Replaces {
		s.serves = conn
	}
	s.mu.Unlock()
	switch {
	case older == nil:
		return true
	case s.Holds == Replaces:
		older.Close()
		return true
	case s.Holds == Ignores:
		<-t.Context().Done()
	}
	return false
}
