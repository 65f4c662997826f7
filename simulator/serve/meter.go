package serve

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/simonvetter/modbus"

	"meltwatch/simulator/furnace"
)

// mostClients bounds the meter's connections; further ones are closed at once. `bench performance --parts many` has 96 agents.
const mostClients = 256

// plc answers reads of the registers.
type plc struct {
	furnace *clockedFurnace
	delay   time.Duration
	order   string
	unit    uint8

	mu    sync.Mutex
	fault MeterFault
	held  furnace.PLC // what stuck registers show
}

// startPLC serves the registers on a loopback port that only the proxy knows.
func startPLC(p *plc, log *slog.Logger) (*modbus.ModbusServer, string, error) {
	// The library does not return the port it was given, so one is reserved for it. If
	// another process takes that port first, the next one is tried.
	const tries = 8
	var last error
	for range tries {
		address, err := freePort()
		if err != nil {
			return nil, "", fmt.Errorf("reserve meter port: %w", err)
		}
		server, err := modbus.NewServer(&modbus.ServerConfiguration{
			URL: "tcp://" + address, Timeout: time.Minute, MaxClients: mostClients,
			Logger: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}, p)
		if err != nil {
			return nil, "", fmt.Errorf("set up meter: %w", err)
		}
		if last = server.Start(); last == nil {
			return server, address, nil
		}
	}
	return nil, "", fmt.Errorf("start meter: %w", last)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binding a port does not wait
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (p *plc) setFault(f MeterFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// packet returns the present content of the registers.
func (p *plc) packet() furnace.PLC {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := p.furnace.at(p.delay)
	if p.fault != MeterStuck && !state.Faults.MeterStuck {
		p.held = state.PLC
	}
	now := p.held
	if p.fault == MeterOff {
		now.Current, now.Voltage = [3]float32{}, [3]float32{}
	}
	return now
}

func (p *plc) read(unit uint8, address, quantity uint16) ([]uint16, error) {
	if unit != p.unit {
		return nil, modbus.ErrGWTargetFailedToRespond
	}
	if int(address)+int(quantity) > registerCount {
		return nil, modbus.ErrIllegalDataAddress
	}
	words := pack(p.packet(), p.order)
	return words[address : address+quantity], nil
}

// HandleHoldingRegisters answers reads and refuses writes.
func (p *plc) HandleHoldingRegisters(r *modbus.HoldingRegistersRequest) ([]uint16, error) {
	if r.IsWrite {
		return nil, modbus.ErrIllegalFunction
	}
	return p.read(r.UnitId, r.Addr, r.Quantity)
}

// HandleInputRegisters answers with the same registers.
func (p *plc) HandleInputRegisters(r *modbus.InputRegistersRequest) ([]uint16, error) {
	return p.read(r.UnitId, r.Addr, r.Quantity)
}

// HandleCoils refuses: the PLC has none.
func (p *plc) HandleCoils(*modbus.CoilsRequest) ([]bool, error) {
	return nil, modbus.ErrIllegalFunction
}

// HandleDiscreteInputs refuses: the PLC has none.
func (p *plc) HandleDiscreteInputs(*modbus.DiscreteInputsRequest) ([]bool, error) {
	return nil, modbus.ErrIllegalFunction
}
