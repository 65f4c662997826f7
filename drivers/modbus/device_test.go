package modbus

import (
	"encoding/binary"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"meltwatch/config"
	"meltwatch/drivers"
)

// A device answers reads on real sockets, and can be set to do one thing wrong.
// Each reply's registers hold the number of the request that it answers, so that
// a value taken from the wrong reply shows.
type device struct {
	kind     string // schemeTCP, schemeRTUTCP or schemeSerial
	listener net.Listener

	mu       sync.Mutex
	conns    map[net.Conn]bool
	requests int         // answered or not
	asked    []time.Time // when request n arrived
	trick    trick       // what to do to the requests next
	tricks   int         // how many of them
	late     []byte      // a reply held back by answerLater
	dead     map[byte]bool
}

// trick makes of a good reply what goes over the wire instead; nil is silence.
// It may close the connection.
type trick func(d *device, conn io.ReadWriteCloser, request, good []byte) []byte

func newDevice(t *testing.T, kind string) *device {
	d := &device{kind: kind, conns: map[net.Conn]bool{}, dead: map[byte]bool{}}
	d.listen(t, "127.0.0.1:0")
	t.Cleanup(d.shut)
	return d
}

func (d *device) listen(t *testing.T, at string) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	d.listener = listener
	go d.accept(listener)
}

func (d *device) url() string { return d.kind + "://" + d.listener.Addr().String() }

func (d *device) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.conns[conn] = true
		d.mu.Unlock()
		go d.serve(conn)
	}
}

// shut closes the listener and every connection, as a reboot does.
func (d *device) shut() {
	d.listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for conn := range d.conns {
		conn.Close()
	}
	clear(d.conns)
}

// play does the trick to the next n requests.
func (d *device) play(n int, do trick) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tricks, d.trick = n, do
}

func (d *device) serve(conn io.ReadWriteCloser) {
	defer conn.Close()
	for {
		request, err := d.readRequest(conn)
		if err != nil {
			return
		}
		if answer := d.answer(conn, request); answer != nil {
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	}
}

func (d *device) readRequest(conn io.Reader) ([]byte, error) {
	length := 8 // RTU: unit, function, address, quantity, CRC
	if d.kind == schemeTCP {
		length = 12
	}
	request := make([]byte, length)
	_, err := io.ReadFull(conn, request)
	return request, err
}

func (d *device) answer(conn io.ReadWriteCloser, request []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, time.Now())
	d.requests++
	pdu := d.pdu(request)
	if d.dead[d.unit(request)] {
		return nil
	}
	quantity := int(binary.BigEndian.Uint16(pdu[3:]))
	body := []byte{pdu[0], byte(2 * quantity)}
	for range quantity / 2 {
		body = binary.BigEndian.AppendUint32(body, math.Float32bits(float32(d.requests)))
	}
	if quantity%2 == 1 {
		body = append(body, 0xaa, 0x55)
	}
	answer := d.frame(request, body)
	if d.tricks > 0 {
		d.tricks--
		return d.trick(d, conn, request, answer)
	}
	answer = append(d.late, answer...)
	d.late = nil
	return answer
}

func (d *device) unit(request []byte) byte {
	if d.kind == schemeTCP {
		return request[6]
	}
	return request[0]
}

func (d *device) pdu(request []byte) []byte {
	if d.kind == schemeTCP {
		return request[7:]
	}
	return request[1 : len(request)-2]
}

// frame wraps a reply's function and data as the request was wrapped.
func (d *device) frame(request, body []byte) []byte {
	if d.kind != schemeTCP {
		return withCRC(append([]byte{request[0]}, body...))
	}
	frame := append([]byte{}, request[:4]...)
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(body)+1))
	return append(append(frame, request[6]), body...)
}

// withCRC appends the checksum of Serial Line V1.02 §6.2.2, low byte first.
func withCRC(frame []byte) []byte {
	sum := uint16(0xffff)
	for _, b := range frame {
		sum ^= uint16(b)
		for range 8 {
			odd := sum&1 == 1
			sum >>= 1
			if odd {
				sum ^= 0xa001
			}
		}
	}
	return append(frame, byte(sum), byte(sum>>8))
}

// askedAt is when the request arrived whose number a value holds.
func (d *device) askedAt(t *testing.T, value float64) time.Time {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int(value)
	if float64(n) != value || n < 1 || n > len(d.asked) {
		t.Fatalf("value %v is not one that the device has sent", value)
	}
	return d.asked[n-1]
}

// checkSample fails the test unless the sample's values answer a request that
// was made in its own poll.
func (d *device) checkSample(t *testing.T, s drivers.Sample) {
	t.Helper()
	for _, current := range s.Current {
		asked := d.askedAt(t, current)
		if off := asked.Sub(s.Time).Abs(); off > s.Uncertainty {
			t.Errorf("sample at ±%v holds the answer to a request made %v from its time", s.Uncertainty, off)
		}
	}
}

// period is long enough that a busy machine answers within it.
const period = 300 * time.Millisecond

// meter is the plain meter: three float32 currents in a row.
func meter(url string, unit int) config.Meter {
	return config.Meter{
		URL:     url,
		Unit:    unit,
		Period:  period,
		Timeout: period - 50*time.Millisecond,
		ReadMax: 125,
		ReadGap: 8,
		// As the configuration completes them.
		CurrentMin: -500,
		CurrentMax: 1_000_000,
		Fields: map[string]config.Field{
			config.FieldCurrentA: float32At(0),
			config.FieldCurrentB: float32At(2),
			config.FieldCurrentC: float32At(4),
		},
	}
}

func float32At(address int) config.Field {
	return config.Field{Address: address, Function: 3, Type: "float32", Order: "ABCD", Scale: 1}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
