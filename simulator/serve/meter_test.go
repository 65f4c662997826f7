package serve

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	goburrow "github.com/goburrow/modbus"
)

// serving starts a furnace without camera.
func serving(t *testing.T, o Options) *Server {
	t.Helper()
	o.NoCamera = true
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// poller is a client of another make.
func poller(t *testing.T, s *Server, unit byte) goburrow.Client {
	t.Helper()
	handler := goburrow.NewTCPClientHandler(strings.TrimPrefix(s.MeterURL(), "tcp://"))
	handler.SlaveId, handler.Timeout = unit, 20*time.Second
	t.Cleanup(func() { handler.Close() })
	return goburrow.NewClient(handler)
}

func TestAnotherMakesClientReadsEveryRegisterInEveryWordOrder(t *testing.T) {
	for _, order := range WordOrders() {
		s := serving(t, Options{Seed: 4, WordOrder: order, Unit: 7})
		client := poller(t, s, 7)
		// Stuck registers stand still between the two reads and our own look.
		if err := s.SetMeterFault(MeterStuck); err != nil {
			t.Fatal(err)
		}
		want := pack(s.plc.packet(), order)
		holding, err := client.ReadHoldingRegisters(0, registerCount)
		if err != nil {
			t.Fatalf("%s: %v", order, err)
		}
		input, err := client.ReadInputRegisters(0, registerCount)
		if err != nil {
			t.Fatalf("%s: %v", order, err)
		}
		for i, w := range want {
			if h, n := binary.BigEndian.Uint16(holding[2*i:]), binary.BigEndian.Uint16(input[2*i:]); h != w || n != w {
				t.Errorf("%s: register %d is %04x holding and %04x input, want %04x", order, i, h, n, w)
			}
		}
	}
}

func TestCurrentsLieNearTheSetPoint(t *testing.T) {
	client := poller(t, serving(t, Options{}), 1)
	words, err := client.ReadHoldingRegisters(0, 8)
	if err != nil {
		t.Fatal(err)
	}
	value := func(i int) float64 {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(words[4*i:])))
	}
	if value(3) != 15000 {
		t.Errorf("set-point is %v A, want the demo's 15000", value(3))
	}
	for phase := range 3 {
		if i := value(phase); i < 5000 || i > 20000 {
			t.Errorf("phase %d carries %v A", phase, i)
		}
	}
}

func TestTheMeterRefusesWhatItDoesNotHave(t *testing.T) {
	s := serving(t, Options{})
	for _, c := range []struct {
		fact string
		unit byte
		ask  func(goburrow.Client) ([]byte, error)
		code byte
	}{
		{"beyond the last register", 1, func(c goburrow.Client) ([]byte, error) { return c.ReadHoldingRegisters(20, 6) }, 2},
		{"another unit", 9, func(c goburrow.Client) ([]byte, error) { return c.ReadHoldingRegisters(0, 2) }, 0x0b},
		{"a write", 1, func(c goburrow.Client) ([]byte, error) { return c.WriteSingleRegister(0, 1) }, 1},
		{"coils", 1, func(c goburrow.Client) ([]byte, error) { return c.ReadCoils(0, 1) }, 1},
	} {
		_, err := c.ask(poller(t, s, c.unit))
		var exception *goburrow.ModbusError
		if !errors.As(err, &exception) || exception.ExceptionCode != c.code {
			t.Errorf("%s: error %v, want exception %d", c.fact, err, c.code)
		}
	}
}

func TestTheRegistersChangeEachPeriodAndStandStillWhenStuck(t *testing.T) {
	m := demoFurnace()
	p := &plc{furnace: m, order: "ABCD", unit: 1, fault: MeterFine}
	read := func(at time.Duration) [registerCount]uint16 {
		m.start = time.Now().Add(-at) // the furnace stands at least there
		return pack(p.packet(), "ABCD")
	}
	first := read(10 * time.Second)
	if first == read(20*time.Second) {
		t.Error("ten seconds later the registers are the same")
	}
	p.setFault(MeterStuck)
	stuck := read(30 * time.Second)
	if stuck != read(40*time.Second) {
		t.Error("stuck registers changed")
	}
	p.setFault(MeterFine)
	if stuck == read(50*time.Second) {
		t.Error("the registers are stuck after the fault has ended")
	}
}

func TestAMeterWithoutSupplyReadsZeroButKeepsTheSetPoint(t *testing.T) {
	s := serving(t, Options{})
	if err := s.SetMeterFault(MeterOff); err != nil {
		t.Fatal(err)
	}
	words, err := poller(t, s, 1).ReadHoldingRegisters(0, 14)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 14 {
		word := binary.BigEndian.Uint16(words[2*i:])
		if set := i == 6; (word != 0) != (set || i == 7) {
			t.Errorf("register %d is %04x", i, word)
		}
	}
}
