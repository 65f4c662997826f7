package mqtt

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/brokerlink"
)

// maxPacket bounds a packet that a broker sends, in bytes: the largest payload that is
// accepted, and room for its topic. The protocol allows 256 MiB, which the library
// would allocate before any check. A larger packet is skipped. Ending the connection
// instead would let one retained message keep the agent off the broker permanently.
const maxPacket = 512 << 10

// openLimited connects, and skips oversize packets.
func openLimited(log *slog.Logger) paho.OpenConnectionFunc {
	return func(uri *url.URL, o paho.ClientOptions) (net.Conn, error) {
		conn, err := brokerlink.Open(uri, o)
		if err != nil {
			return nil, err
		}
		skipped := func(size int) { log.Warn("oversize packet skipped", "bytes", size, "most", maxPacket) }
		return &limitedConn{Conn: conn, packets: packetFilter{in: bufio.NewReader(conn), skipped: skipped}}, nil
	}
}

// limitedConn is a connection that skips oversize packets.
type limitedConn struct {
	net.Conn
	packets packetFilter
}

// Read reads from packets of allowed size.
func (c *limitedConn) Read(into []byte) (int, error) { return c.packets.Read(into) }

// packetFilter passes a stream of MQTT packets on, without those larger than maxPacket.
// A packet is a byte of type and flags, the length of the rest in 1–4 bytes of 7 bits,
// least significant first, and the rest (MQTT 3.1.1, section 2.2).
type packetFilter struct {
	in      *bufio.Reader
	skipped func(size int)

	head []byte // of the current packet, not returned yet
	rest int    // bytes of it that follow the head
}

const maxDigits = 4

var errLength = errors.New("broker sent a packet with an invalid length: more than 4 bytes")

// Read reads from one packet at a time.
func (f *packetFilter) Read(into []byte) (int, error) {
	for len(f.head) == 0 && f.rest == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if len(f.head) > 0 {
		n := copy(into, f.head)
		f.head = f.head[n:]
		return n, nil
	}
	n, err := f.in.Read(into[:min(len(into), f.rest)])
	f.rest -= n
	return n, err
}

// next begins the next packet, or skips one.
func (f *packetFilter) next() error {
	kind, err := f.in.ReadByte()
	if err != nil {
		return err
	}
	head, length := []byte{kind}, 0
	for more := true; more; {
		if len(head) > maxDigits {
			return errLength
		}
		digit, err := f.in.ReadByte()
		if err != nil {
			return err
		}
		length |= int(digit&0x7f) << (7 * (len(head) - 1))
		head, more = append(head, digit), digit&0x80 != 0
	}
	if length > maxPacket {
		f.skipped(length)
		_, err := io.CopyN(io.Discard, f.in, int64(length))
		return err
	}
	f.head, f.rest = head, length
	return nil
}
