package relay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/conn"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
)

// writeTimeout bounds a write to the decoder. It reads continuously, so a longer write
// means that it hangs.
const writeTimeout = 10 * time.Second

// decoderServer serves the stream to one decoder on the loopback interface, with the
// part of RTSP that the decoder uses: RTP interleaved over TCP.
type decoderServer struct {
	listener net.Listener
	path     string // random, because other programs of the box can connect too
	sdp      []byte
	done     chan struct{}

	// writing is held while a packet or a reply is written, and guards the queue; mu is
	// held only briefly.
	writing     sync.Mutex
	playing     bool
	queue       [][]byte // until the decoder plays
	queuedBytes int

	mu        sync.Mutex
	conn      net.Conn // the decoder's
	closed    bool
	hasPacket bool
}

func listen(ctx context.Context, media *description.Media) (*decoderServer, error) {
	sdp, err := description.Session{Medias: []*description.Media{{
		Type: description.MediaTypeVideo, Control: "video", Formats: media.Formats[:1],
	}}}.Marshal(false)
	if err != nil {
		return nil, fmt.Errorf("describe the stream to the decoder: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the decoder: %w", err)
	}
	l := &decoderServer{listener: listener, path: "/" + rand.Text(), sdp: sdp, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.serve()
	}()
	return l, nil
}

func (l *decoderServer) url() string { return "rtsp://" + l.listener.Addr().String() + l.path }

// started reports whether the first packet has been forwarded.
func (l *decoderServer) started() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hasPacket
}

// send forwards a packet, or queues it until the decoder plays.
func (l *decoderServer) send(packet []byte) error {
	l.mu.Lock()
	l.hasPacket = true
	over := l.closed
	l.mu.Unlock()
	if over {
		return net.ErrClosed
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if len(packet) > 0xffff {
		return fmt.Errorf("packet of %d bytes is too large", len(packet))
	}
	frame := make([]byte, 4, 4+len(packet))
	frame[0] = base.InterleavedFrameMagicByte
	binary.BigEndian.PutUint16(frame[2:], uint16(len(packet)))
	frame = append(frame, packet...)
	if l.playing {
		return l.write(frame)
	}
	if l.queuedBytes += len(frame); l.queuedBytes > maxQueued {
		return fmt.Errorf("the camera sent %d MiB before the decoder began", maxQueued>>20)
	}
	l.queue = append(l.queue, frame)
	return nil
}

// discardQueue drops the packets that wait for the decoder.
func (l *decoderServer) discardQueue() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.queue, l.queuedBytes = nil, 0
}

// write requires that writing is held and the decoder has connected.
func (l *decoderServer) write(text []byte) error {
	l.mu.Lock()
	c := l.conn
	l.mu.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.Write(text)
	return err
}

// play sends the reply, then the queued packets.
func (l *decoderServer) play(reply []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	err := l.write(reply)
	for _, frame := range l.queue {
		if err == nil {
			err = l.write(frame)
		}
	}
	l.queue, l.playing = nil, true
	return err
}

// serve accepts connections until one requests the stream's path, and serves that one
// until it ends.
func (l *decoderServer) serve() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.conn = c
		over := l.closed
		l.mu.Unlock()
		served := !over && l.answer(c)
		_ = c.Close()
		if served || over {
			return
		}
	}
}

// answer serves a connection and reports whether it knew the path.
func (l *decoderServer) answer(c net.Conn) (knew bool) {
	in := conn.NewConn(c)
	for {
		if !knew {
			if err := c.SetReadDeadline(time.Now().Add(writeTimeout)); err != nil {
				return knew
			}
		}
		message, err := in.Read()
		if err != nil {
			return knew
		}
		request, ok := message.(*base.Request)
		if !ok {
			continue // the decoder's reports
		}
		if request.URL == nil || len(request.URL.Path) < len(l.path) || request.URL.Path[:len(l.path)] != l.path {
			return knew
		}
		if !knew {
			knew = true
			if err := c.SetReadDeadline(time.Time{}); err != nil {
				return knew
			}
		}
		if err := l.reply(request); err != nil {
			return knew
		}
	}
}

func (l *decoderServer) reply(r *base.Request) error {
	response := base.Response{StatusCode: base.StatusOK, Header: base.Header{"CSeq": r.Header["CSeq"], "Session": {"1"}}}
	switch r.Method {
	case base.Options:
		response.Header["Public"] = base.HeaderValue{"OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"}
	case base.Describe:
		response.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
		response.Header["Content-Base"] = base.HeaderValue{l.url() + "/"}
		response.Body = l.sdp
	case base.Setup:
		response.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1"}
	}
	text, err := response.Marshal()
	if err != nil {
		return err
	}
	if r.Method == base.Play {
		return l.play(text)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.write(text)
}

// close ends the decoder's stream.
func (l *decoderServer) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

func (l *decoderServer) wait() { <-l.done }
