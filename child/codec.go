package child

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"time"
)

// maxMessage bounds one message, header and body together, in bytes. The
// largest honest one is a preview picture, half a MiB.
const maxMessage = 4 << 20

// writeTimeout bounds one write to a peer that has stopped reading.
const writeTimeout = 2 * time.Second

// ErrTooLarge is returned for a message over the bound; the connection is
// closed, since what follows cannot be told apart from the message.
var ErrTooLarge = fmt.Errorf("message over %d bytes", maxMessage)

// A wire frames net/rpc's gob stream by counting: a reader that is handed
// maxMessage bytes before each header runs dry on a larger message.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	left int
	out  *bufio.Writer
	dec  *gob.Decoder
	enc  *gob.Encoder
}

func newWire(conn net.Conn) *wire {
	w := &wire{conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}
	w.dec = gob.NewDecoder(w)
	w.enc = gob.NewEncoder(w.out)
	return w
}

// Read and ReadByte make wire the decoder's bounded source; with ReadByte gob
// adds no read-ahead of its own, which would blur where a message ends.
func (w *wire) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := w.in.Read(p[:min(len(p), w.left)])
	w.left -= n
	return n, err
}

func (w *wire) ReadByte() (byte, error) {
	if w.left <= 0 {
		return 0, ErrTooLarge
	}
	w.left--
	return w.in.ReadByte()
}

func (w *wire) readHeader(header any) error {
	w.left = maxMessage
	return w.dec.Decode(header)
}

// readBody decodes into body; a nil body is read and dropped.
func (w *wire) readBody(body any) error { return w.dec.Decode(body) }

func (w *wire) write(header, body any) error {
	err := errors.Join(
		w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)),
		w.enc.Encode(header),
		w.enc.Encode(body),
		w.out.Flush(),
	)
	if err != nil {
		// Half a message may be out: nothing after it can be understood.
		w.conn.Close()
	}
	return err
}

// Close closes the connection.
func (w *wire) Close() error { return w.conn.Close() }

type clientCodec struct{ *wire }

func newClientCodec(conn net.Conn) rpc.ClientCodec { return clientCodec{newWire(conn)} }

func (c clientCodec) WriteRequest(r *rpc.Request, body any) error { return c.write(r, body) }
func (c clientCodec) ReadResponseHeader(r *rpc.Response) error    { return c.readHeader(r) }
func (c clientCodec) ReadResponseBody(body any) error             { return c.readBody(body) }

type serverCodec struct {
	*wire
	ended chan struct{} // closed when no further request can be read
}

func newServerCodec(conn net.Conn) serverCodec {
	return serverCodec{newWire(conn), make(chan struct{})}
}

// ReadRequestHeader is called by one goroutine, which stops at the first error.
func (c serverCodec) ReadRequestHeader(r *rpc.Request) error {
	err := c.readHeader(r)
	if err != nil {
		close(c.ended)
	}
	return err
}

func (c serverCodec) ReadRequestBody(body any) error                { return c.readBody(body) }
func (c serverCodec) WriteResponse(r *rpc.Response, body any) error { return c.write(r, body) }
