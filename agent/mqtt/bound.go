package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// maxPacket bounds a packet that a broker sends, in bytes: the largest payload
// that is heard, and room for its topic. The protocol allows 256 MiB, which the
// library would allocate before anyone could look at it.
const maxPacket = 512 << 10

var errPacket = fmt.Errorf("broker sent a packet of more than %d bytes", maxPacket)

// openBounded connects as paho itself does, but for its proxies.
func openBounded(uri *url.URL, o paho.ClientOptions) (net.Conn, error) {
	conn, err := open(uri, o)
	if err != nil {
		return nil, err
	}
	return &bounded{Conn: conn}, nil
}

func open(uri *url.URL, o paho.ClientOptions) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	switch uri.Scheme {
	case "ws":
		return paho.NewWebsocket(uri.String(), nil, o.ConnectTimeout, o.HTTPHeaders, o.WebsocketOptions)
	case "wss":
		return paho.NewWebsocket(uri.String(), o.TLSConfig, o.ConnectTimeout, o.HTTPHeaders, o.WebsocketOptions)
	case "ssl":
		secure := &tls.Dialer{NetDialer: dialer, Config: o.TLSConfig}
		ctx, cancel := context.WithTimeout(context.Background(), o.ConnectTimeout) // the handshake's too
		defer cancel()
		return secure.DialContext(ctx, "tcp", uri.Host)
	default:
		return dialer.DialContext(context.Background(), "tcp", uri.Host) // the dialer's timeout bounds it
	}
}

// bounded is a connection that ends before a packet that is too large.
type bounded struct {
	net.Conn
	framing framing
}

// Read reads what the broker sent. It holds the last byte of an oversize
// packet's length back, so that nobody makes room for it.
func (b *bounded) Read(into []byte) (int, error) {
	n, err := b.Conn.Read(into)
	sound := b.framing.scan(into[:n])
	if sound < n {
		return sound, errPacket
	}
	return n, err
}

// framing follows the framing of a stream of MQTT packets: a byte of type and
// flags, the length of the rest in 1–4 bytes of 7 bits, the least first, and the
// rest (MQTT 3.1.1, section 2.2).
type framing struct {
	skip   int // bytes of the packet's rest that are still to come
	inside bool
	length int
	digits int
}

const maxDigits = 4

// scan goes through the next bytes of the stream and returns how many of them
// are sound: all, or those before the last byte of a length beyond maxPacket.
func (p *framing) scan(stream []byte) int {
	for i := 0; i < len(stream); {
		if p.skip > 0 {
			n := min(p.skip, len(stream)-i)
			p.skip -= n
			i += n
			continue
		}
		if !p.inside {
			p.inside, p.length, p.digits = true, 0, 0
			i++
			continue
		}
		p.length |= int(stream[i]&0x7f) << (7 * p.digits)
		p.digits++
		if more := stream[i]&0x80 != 0; more && p.digits < maxDigits {
			i++
			continue
		} else if more || p.length > maxPacket {
			return i
		}
		p.inside, p.skip = false, p.length
		i++
	}
	return len(stream)
}
