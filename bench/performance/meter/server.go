package meter

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/simonvetter/modbus"

	"meltwatch/bench/rig"
)

const (
	// least is the smallest current that the meter shows, in amperes, and step the
	// distance of two readings. All of them are exact in float32.
	least, step = 10_000.0, 0.5
	// different is how many replies show different currents in a row.
	different = 4096
	// registers are those of three currents in float32.
	registers = 6
)

// server is a meter whose every reply shows another current, so that a message tells which
// reply it holds, and when that was given.
type server struct {
	url  string
	stop func() error

	mu      sync.Mutex
	replies int
	given   [different]time.Time
}

func startServer(ctx context.Context) (*server, error) {
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{url: "tcp://" + address}
	// The clients idle between polls of half a second at most.
	served, err := modbus.NewServer(&modbus.ServerConfiguration{URL: s.url, Timeout: time.Minute, MaxClients: 64}, s)
	if err != nil {
		return nil, err
	}
	s.stop = served.Stop
	return s, served.Start()
}

// givenAt returns when the newest reply with a current was given.
func (s *server) givenAt(current float64) (at time.Time, known bool) {
	i := (current - least) / step
	if i != math.Trunc(i) || i < 0 || i >= different {
		return time.Time{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at = s.given[int(i)]
	return at, !at.IsZero()
}

// answered is the number of replies so far.
func (s *server) answered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replies
}

// HandleHoldingRegisters gives the next currents.
func (s *server) HandleHoldingRegisters(r *modbus.HoldingRegistersRequest) ([]uint16, error) {
	if r.IsWrite || int(r.Addr)+int(r.Quantity) > registers {
		return nil, modbus.ErrIllegalDataAddress
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.replies % different
	bits := math.Float32bits(float32(least + step*float64(i)))
	words := make([]uint16, registers)
	for phase := range registers / 2 {
		words[2*phase], words[2*phase+1] = uint16(bits>>16), uint16(bits)
	}
	s.replies++
	s.given[i] = time.Now()
	return words[r.Addr : r.Addr+r.Quantity], nil
}

// HandleInputRegisters refuses.
func (*server) HandleInputRegisters(*modbus.InputRegistersRequest) ([]uint16, error) {
	return nil, modbus.ErrIllegalFunction
}

// HandleCoils refuses.
func (*server) HandleCoils(*modbus.CoilsRequest) ([]bool, error) {
	return nil, modbus.ErrIllegalFunction
}

// HandleDiscreteInputs refuses.
func (*server) HandleDiscreteInputs(*modbus.DiscreteInputsRequest) ([]bool, error) {
	return nil, modbus.ErrIllegalFunction
}
