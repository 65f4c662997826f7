package child

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"time"
)

// maxMessage bounds one message in bytes. The largest valid one is a part of a whole
// picture, 2 MiB before base64.
const maxMessage = 4 << 20

// MaxBody bounds the arguments and the reply of a call in JSON, in bytes.
const MaxBody = maxMessage - maxHead

// maxHead is more than a head takes but for an error.
const maxHead = 2048

// maxError bounds an error's text in bytes, of which JSON may make six each.
const maxError = 16 << 10

// writeTimeout bounds one write to a peer that has stopped reading.
const writeTimeout = 2 * time.Second

// errTooLarge is returned for a message over the bound; the connection is closed.
var errTooLarge = fmt.Errorf("message over %d bytes", maxMessage)

// A message on the wire is the lengths of its head and its body, four bytes big-endian
// each, and both in JSON. The body is apart, so that it is scanned when it is decoded only.
//
// JSON replaces gob, net/rpc's own encoding, because gob's decoder is not made for
// hostile input (fuzzing found an input on which it panics).
type head struct {
	Method string `json:"method"`
	Seq    uint64 `json:"seq"`
	Error  string `json:"error,omitempty"`
}

// lengths is the size of the two lengths, in bytes.
const lengths = 8

type wire struct {
	conn     net.Conn
	in       *bufio.Reader
	last     head
	lastBody []byte // which has not been asked for yet
}

func newWire(conn net.Conn) *wire { return &wire{conn: conn, in: bufio.NewReader(conn)} }

func (w *wire) read() error {
	var sizes [lengths]byte
	if _, err := io.ReadFull(w.in, sizes[:]); err != nil {
		return err
	}
	size, bodySize := uint64(binary.BigEndian.Uint32(sizes[:4])), uint64(binary.BigEndian.Uint32(sizes[4:]))
	if size+bodySize > maxMessage {
		return errTooLarge
	}
	text := make([]byte, size+bodySize)
	if _, err := io.ReadFull(w.in, text); err != nil {
		return fmt.Errorf("read message of %d bytes: %w", len(text), err)
	}
	w.last, w.lastBody = head{}, text[size:]
	if err := json.Unmarshal(text[:size], &w.last); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}

// body decodes the last message's body; a nil target discards it.
func (w *wire) body(into any) error {
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(w.lastBody, into); err != nil {
		return fmt.Errorf("decode %s: %w", w.last.Method, err)
	}
	return nil
}

// write sends a message. It is called by one goroutine at a time.
func (w *wire) write(h head, body []byte) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode %s: %w", h.Method, err)
	}
	if len(text)+len(body) > maxMessage {
		return errTooLarge
	}
	framed := make([]byte, 0, lengths+len(text)+len(body))
	framed = binary.BigEndian.AppendUint32(framed, uint32(len(text)))
	framed = binary.BigEndian.AppendUint32(framed, uint32(len(body)))
	framed = append(append(framed, text...), body...)
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := w.conn.Write(framed); err != nil {
		// Part of the message may have been sent, so the stream is out of step.
		w.conn.Close()
		return err
	}
	return nil
}

// Close closes the connection.
func (w *wire) Close() error { return w.conn.Close() }

type clientCodec struct{ *wire }

func newClientCodec(conn net.Conn) rpc.ClientCodec { return clientCodec{newWire(conn)} }

func (c clientCodec) WriteRequest(r *rpc.Request, arguments any) error {
	body, err := json.Marshal(arguments)
	if err != nil {
		return fmt.Errorf("encode arguments of %s: %w", r.ServiceMethod, err)
	}
	return c.write(head{Method: r.ServiceMethod, Seq: r.Seq}, body)
}

func (c clientCodec) ReadResponseHeader(r *rpc.Response) error {
	if err := c.read(); err != nil {
		return err
	}
	r.ServiceMethod, r.Seq, r.Error = c.last.Method, c.last.Seq, c.last.Error
	return nil
}

func (c clientCodec) ReadResponseBody(into any) error { return c.body(into) }

type serverCodec struct {
	*wire
	ended chan struct{} // closed when no further request can be read
}

func newServerCodec(conn net.Conn) serverCodec {
	return serverCodec{newWire(conn), make(chan struct{})}
}

// ReadRequestHeader is called by one goroutine, which stops at the first error.
func (c serverCodec) ReadRequestHeader(r *rpc.Request) error {
	if err := c.read(); err != nil {
		close(c.ended)
		return err
	}
	r.ServiceMethod, r.Seq = c.last.Method, c.last.Seq
	return nil
}

func (c serverCodec) ReadRequestBody(into any) error { return c.body(into) }

// WriteResponse sends a reply. One that cannot be sent, because a number in it is
// not finite or it is too large, becomes an error of that call only.
func (c serverCodec) WriteResponse(r *rpc.Response, reply any) error {
	m := head{Method: r.ServiceMethod, Seq: r.Seq, Error: r.Error[:min(len(r.Error), maxError)]}
	body, err := json.Marshal(reply)
	if err == nil && len(body) > MaxBody {
		err = errTooLarge
	}
	if err != nil {
		m.Error, body = "encode reply: "+err.Error(), []byte("null")
	}
	return c.write(m, body)
}
