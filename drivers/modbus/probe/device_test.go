package probe

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/goburrow/modbus"

	"meltwatch/drivers/drivertest"
)

// device answers requests over TCP, over RTU on TCP and on a serial line. It fails the
// test if it is asked to write, or asked for the next before it has answered.
type device struct {
	t    *testing.T
	rtu  bool
	url  string
	unit func(unit byte, pdu []byte) []byte // nil is silence

	mu    sync.Mutex
	busy  bool
	asked []time.Time
}

var transports = []string{"tcp", "rtuovertcp", "rtu"}

func newDevice(t *testing.T, scheme string, answer func(unit byte, pdu []byte) []byte) *device {
	t.Helper()
	d := &device{t: t, rtu: scheme != "tcp", unit: answer}
	if scheme == "rtu" {
		line, url := drivertest.SerialLine(t)
		d.url = url
		go d.serve(line)
		return d
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	d.url = scheme + "://" + listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.serve(conn)
		}
	}()
	return d
}

func (d *device) serve(line io.ReadWriteCloser) {
	defer line.Close()
	for {
		// A read has 8 bytes on RTU and 12 on TCP. Another length would fail the check of
		// the function below, or the checksum.
		request := make([]byte, 12)
		if d.rtu {
			request = request[:8]
		}
		if _, err := io.ReadFull(line, request); err != nil {
			return
		}
		if answer := d.answer(request); answer != nil {
			if _, err := line.Write(answer); err != nil {
				return
			}
		}
	}
}

func (d *device) answer(request []byte) []byte {
	d.mu.Lock()
	if d.busy {
		d.t.Error("a second request came before the first was answered")
	}
	d.busy = true
	d.asked = append(d.asked, time.Now())
	d.mu.Unlock()
	defer func() { d.mu.Lock(); d.busy = false; d.mu.Unlock() }()

	unit, pdu := request[0], request[1:6]
	if !d.rtu {
		unit, pdu = request[6], request[7:]
	}
	if pdu[0] < 1 || pdu[0] > 4 {
		d.t.Errorf("function %d was asked, which does not read", pdu[0])
	}
	body := d.unit(unit, pdu)
	switch {
	case body == nil:
		return nil
	case d.rtu:
		framing := wire.NewRTUClientHandler("")
		framing.SlaveId = unit
		frame, err := framing.Encode(&wire.ProtocolDataUnit{FunctionCode: body[0], Data: body[1:]})
		if err != nil {
			d.t.Error(err)
		}
		return frame
	default:
		frame := slices.Clone(request[:4])
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(body)+1))
		return append(append(frame, unit), body...)
	}
}

// fastest is the least time between two requests.
func (d *device) fastest() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	least := time.Hour
	for i := 1; i < len(d.asked); i++ {
		least = min(least, d.asked[i].Sub(d.asked[i-1]))
	}
	return least
}

func exception(pdu []byte, code byte) []byte { return []byte{pdu[0] | 0x80, code} }

// forward answers as the Modbus TCP device at url does.
func forward(t *testing.T, url string) func(unit byte, pdu []byte) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(unit byte, pdu []byte) []byte {
		frame := append([]byte{0, 1, 0, 0, 0, byte(len(pdu) + 1), unit}, pdu...)
		if _, err := conn.Write(frame); err != nil {
			return nil
		}
		header := make([]byte, 7)
		if _, err := io.ReadFull(conn, header); err != nil {
			return nil
		}
		body := make([]byte, binary.BigEndian.Uint16(header[4:])-1)
		if _, err := io.ReadFull(conn, body); err != nil {
			return nil
		}
		return body
	}
}
