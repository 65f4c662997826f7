package serve

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"meltwatch/simulator/furnace"
)

// patience bounds what must happen on a machine that may be slow and busy.
const patience = 30 * time.Second

// raw is a client that sees each byte.
type raw struct {
	testing.TB
	net.Conn
}

func dial(t testing.TB, s *Server) raw {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.MeterURL(), "tcp://"), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return raw{t, conn}
}

// ask requests the first phase's current under transaction id.
func (r raw) ask(id uint16) {
	r.Helper()
	request := []byte{byte(id >> 8), byte(id), 0, 0, 0, 6, 1, 3, 0, 0, 0, 2}
	if _, err := r.Write(request); err != nil {
		r.Fatal(err)
	}
}

// take reads what comes within d, up to n bytes.
func (r raw) take(n int, d time.Duration) ([]byte, error) {
	r.Helper()
	if err := r.SetReadDeadline(time.Now().Add(d)); err != nil {
		r.Fatal(err)
	}
	got := make([]byte, n)
	n, err := io.ReadFull(r, got)
	return got[:n], err
}

// goodLength is the length of a reply of two registers.
const goodLength = 13

func (r raw) good(id uint16) {
	r.Helper()
	reply, err := r.take(goodLength, patience)
	if err != nil {
		r.Fatalf("reply to %d: %v", id, err)
	}
	if got := binary.BigEndian.Uint16(reply); got != id || reply[adFunction] != 3 || reply[8] != 4 {
		r.Fatalf("reply to %d is % x", id, reply)
	}
}

// quiet checks that nothing more comes for a moment.
func (r raw) quiet() {
	r.Helper()
	if more, err := r.take(1, 300*time.Millisecond); !isTimeout(err) || len(more) > 0 {
		r.Errorf("unexpected % x, %v", more, err)
	}
}

func TestEachMeterFaultOnTheWire(t *testing.T) {
	for fault, see := range map[MeterFault]func(raw){
		MeterFine: func(r raw) { r.good(7) },
		MeterLate: func(r raw) {
			start := time.Now()
			r.good(7)
			if took := time.Since(start); took < lateBy-50*time.Millisecond {
				r.Errorf("answered after %v, want %v", took, lateBy)
			}
		},
		MeterTruncated: func(r raw) {
			half, err := r.take(goodLength/2, patience)
			if err != nil || len(half) != goodLength/2 {
				r.Errorf("got % x, %v", half, err)
			}
			r.quiet()
		},
		MeterWrongID: func(r raw) { r.good(8) },
		MeterException: func(r raw) {
			reply, err := r.take(9, patience)
			if want := []byte{0, 7, 0, 0, 0, 3, 1, 0x83, 4}; err != nil || !bytes.Equal(reply, want) {
				r.Errorf("got % x, %v, want % x", reply, err, want)
			}
		},
		MeterReset: func(r raw) {
			if _, err := r.take(1, patience); !errors.Is(err, syscall.ECONNRESET) {
				r.Errorf("error %v, want a reset", err)
			}
		},
		MeterSilent: func(r raw) { r.quiet() },
		MeterStuck:  func(r raw) { r.good(7) },
		MeterOff: func(r raw) {
			reply, err := r.take(goodLength, patience)
			if err != nil || !bytes.Equal(reply[9:], []byte{0, 0, 0, 0}) {
				r.Errorf("got % x, %v, want no current", reply, err)
			}
		},
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			s := serving(t, Options{})
			r := dial(t, s)
			r.ask(1)
			r.good(1)
			if err := s.SetMeterFault(fault); err != nil {
				t.Fatal(err)
			}
			r.ask(7)
			see(r)
			if err := s.SetMeterFault(MeterFine); err != nil {
				t.Fatal(err)
			}
			again := dial(t, s)
			again.ask(9)
			again.good(9)
		})
	}
}

func TestAMeterThatIsDownRefusesAndComesBackAtItsAddress(t *testing.T) {
	s := serving(t, Options{})
	r, before := dial(t, s), s.MeterURL()
	r.ask(1)
	r.good(1)
	if err := s.SetMeterFault(MeterDown); err != nil {
		t.Fatal(err)
	}
	if _, err := r.take(1, patience); err == nil || isTimeout(err) {
		t.Errorf("the old connection: %v, want it closed", err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(before, "tcp://")); err == nil {
		conn.Close()
		t.Error("a meter that is down accepts connections")
	}
	if err := s.SetMeterFault(MeterFine); err != nil {
		t.Fatal(err)
	}
	if s.MeterURL() != before {
		t.Errorf("came back at %s, was at %s", s.MeterURL(), before)
	}
	back := dial(t, s)
	back.ask(2)
	back.good(2)
}

func TestTheScenariosGapIsSilence(t *testing.T) {
	s := serving(t, Options{Scenario: furnace.Scenario{
		Segments:  []furnace.Segment{{State: furnace.Normal, Seconds: 1000}},
		Nuisances: []furnace.Nuisance{{Cause: furnace.MeterGap, At: 0, Seconds: 1000}},
	}})
	r := dial(t, s)
	r.ask(1)
	r.quiet()
}

func TestTooManyClientsAreTurnedAway(t *testing.T) {
	s := serving(t, Options{})
	for range mostClients {
		r := dial(t, s)
		r.ask(1)
		r.good(1)
	}
	if _, err := dial(t, s).take(1, patience); err == nil || isTimeout(err) {
		t.Errorf("one client too many: %v, want its connection closed", err)
	}
}

func isTimeout(err error) bool {
	var fault net.Error
	return errors.As(err, &fault) && fault.Timeout()
}

func FuzzReadADU(f *testing.F) {
	f.Add([]byte{0, 7, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2})
	f.Add([]byte{0, 7, 0, 0, 0, 3, 1, 0x83, 4})
	f.Add([]byte{0, 0, 0, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, wire []byte) {
		adu, err := readADU(bytes.NewReader(wire))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(wire, adu) {
			t.Fatalf("% x read as % x", wire, adu)
		}
		for _, fault := range MeterFaults() {
			mangle(fault, bytes.Clone(adu))
		}
	})
}
