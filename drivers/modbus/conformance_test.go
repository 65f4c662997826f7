package modbus

import (
	"log/slog"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	peer "github.com/simonvetter/modbus"

	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/drivertest"
)

func TestConformance(t *testing.T) {
	for _, kind := range []string{schemeTCP, schemeRTUTCP} {
		t.Run(kind, func(t *testing.T) {
			drivertest.Run(t, func(t *testing.T) drivertest.Rig[drivers.Sample] {
				d := newDevice(t, kind)
				m := meter(d.url(), 1)
				m.Period, m.Timeout = 100*time.Millisecond, 90*time.Millisecond
				source, err := New(map[string]config.Meter{"main": m}, quiet(), func(Report) {})
				if err != nil {
					t.Fatalf("New: %v", err)
				}
				at := d.listener.Addr().String()
				return drivertest.Rig[drivers.Sample]{
					Source: source,
					Time:   func(s drivers.Sample) time.Time { return s.Time },
					Break:  d.shut,
					Heal:   func() { d.listen(t, at) },
				}
			})
		})
	}
}

// plant answers like the PLC of a real monitor: twelve float32 and the bits.
type plant struct {
	mu        sync.Mutex
	registers [32]uint16
}

func (p *plant) set(at int, value float32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bits := math.Float32bits(value)
	p.registers[at], p.registers[at+1] = uint16(bits), uint16(bits>>16) // low word first
}

func (p *plant) read(address, quantity uint16) ([]uint16, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(address)+int(quantity) > len(p.registers) {
		return nil, peer.ErrIllegalDataAddress
	}
	return append([]uint16{}, p.registers[address:address+quantity]...), nil
}

func (p *plant) HandleHoldingRegisters(r *peer.HoldingRegistersRequest) ([]uint16, error) {
	return p.read(r.Addr, r.Quantity)
}

func (p *plant) HandleInputRegisters(r *peer.InputRegistersRequest) ([]uint16, error) {
	return p.read(r.Addr, r.Quantity)
}

func (p *plant) HandleCoils(*peer.CoilsRequest) ([]bool, error) {
	return nil, peer.ErrIllegalFunction
}

func (p *plant) HandleDiscreteInputs(*peer.DiscreteInputsRequest) ([]bool, error) {
	return nil, peer.ErrIllegalFunction
}

// Another implementation of the protocol reads our requests and we its replies.
func TestAgainstAnotherImplementation(t *testing.T) {
	p := &plant{}
	for phase := range drivers.Phases {
		p.set(2*phase, 15000+float32(phase))
	}
	p.set(6, 14500)
	p.registers[24] = 1<<1 | 1<<2
	url := servePlant(t, p)
	m := meter(url, 1)
	m.Base = 1
	m.Fields = map[string]config.Field{
		config.FieldFeeding: {Address: 25, Function: 3, Type: "bit", Bit: 1, Order: "ABCD"},
		config.FieldExhaust: {Address: 25, Function: 3, Type: "bit", Bit: 2, Order: "ABCD"},
		config.FieldManual:  {Address: 25, Function: 3, Type: "bit", Bit: 0, Order: "ABCD"},
	}
	for i, quantity := range []string{config.FieldCurrentA, config.FieldCurrentB, config.FieldCurrentC, config.FieldSetPoint} {
		f := float32At(2*i + 1)
		f.Function, f.Order = 4, "CDAB"
		m.Fields[quantity] = f
	}
	watched := watch(t, map[string]config.Meter{"main": m})
	if r := watched.report(t); r.Err != nil {
		t.Fatal(r.Err)
	}
	s := <-watched.samples
	if want := [drivers.Phases]float64{15000, 15001, 15002}; s.Current != want {
		t.Errorf("current %v, want %v", s.Current, want)
	}
	if s.SetPoint != 14500 {
		t.Errorf("set-point %v, want 14500", s.SetPoint)
	}
	if want := drivers.Feeding | drivers.Exhaust; s.Bits != want {
		t.Errorf("bits %b, want %b", s.Bits, want)
	}
}

func servePlant(t *testing.T, p *plant) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the server cannot say which port it took
	if err != nil {
		t.Fatal(err)
	}
	url = "tcp://" + listener.Addr().String()
	listener.Close()
	server, err := peer.NewServer(&peer.ServerConfiguration{
		URL:     url,
		Timeout: time.Minute,
		Logger:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop server: %v", err)
		}
	})
	return url
}
