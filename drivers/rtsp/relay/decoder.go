package relay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/conn"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtp"
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

	// writing is held while packets or a reply are written, and guards what follows; mu is
	// held only briefly.
	writing     sync.Mutex
	playing     bool
	queue       [][]byte // until the decoder plays
	queuedBytes int
	batch       []byte // packets of the picture with this stamp, which are written together
	stamp       uint32

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
	s := &decoderServer{listener: listener, path: "/" + rand.Text(), sdp: sdp, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.serve()
	}()
	return s, nil
}

func (s *decoderServer) url() string { return "rtsp://" + s.listener.Addr().String() + s.path }

// started reports whether the first packet has been forwarded.
func (s *decoderServer) started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasPacket
}

// maxBatch bounds the packets that are written together, in bytes.
const maxBatch = 64 << 10

// send forwards a packet, or queues it until the decoder plays. The packets of a picture are
// written together, because each write wakes the decoder, and it can do nothing before the
// picture is whole. A decoder knows that from the next picture's first packet, which is
// therefore written at once, or from the mark of the last one.
func (s *decoderServer) send(packet *rtp.Packet) error {
	s.mu.Lock()
	s.hasPacket = true
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if !s.playing {
		frame, err := appendFrame(nil, packet)
		if err != nil {
			return err
		}
		if s.queuedBytes += len(frame); s.queuedBytes > maxQueued {
			return fmt.Errorf("the camera sent %d MiB before the decoder began", maxQueued>>20)
		}
		s.queue = append(s.queue, frame)
		return nil
	}
	var err error
	if s.batch, err = appendFrame(s.batch, packet); err != nil {
		return err
	}
	if packet.Timestamp == s.stamp && !packet.Marker && len(s.batch) < maxBatch {
		return nil
	}
	s.stamp = packet.Timestamp
	err = s.write(s.batch)
	s.batch = s.batch[:0]
	return err
}

// flush writes the packets that wait for the rest of their picture, when no other follows at
// once: not every camera marks the last one.
func (s *decoderServer) flush() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if len(s.batch) == 0 {
		return nil
	}
	err := s.write(s.batch)
	s.batch = s.batch[:0]
	return err
}

// appendFrame appends a packet as it is interleaved with RTSP (RFC 2326, §10.12).
func appendFrame(frames []byte, packet *rtp.Packet) ([]byte, error) {
	const header = 4
	size := packet.MarshalSize()
	if size > 0xffff {
		return frames, fmt.Errorf("packet of %d bytes is too large", size)
	}
	begin := len(frames)
	frames = slices.Grow(frames, header+size)[:begin+header+size]
	frame := frames[begin:]
	frame[0], frame[1] = base.InterleavedFrameMagicByte, 0
	binary.BigEndian.PutUint16(frame[2:], uint16(size))
	if _, err := packet.MarshalTo(frame[header:]); err != nil {
		return frames[:begin], err
	}
	return frames, nil
}

// discardQueue drops the packets that wait for the decoder.
func (s *decoderServer) discardQueue() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.queue, s.queuedBytes = nil, 0
}

// write requires that writing is held and the decoder has connected.
func (s *decoderServer) write(text []byte) error {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.Write(text)
	return err
}

// play sends the reply, then the queued packets.
func (s *decoderServer) play(reply []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.write(reply)
	for _, frame := range s.queue {
		if err == nil {
			err = s.write(frame)
		}
	}
	s.queue, s.playing = nil, true
	return err
}

// serve accepts connections until one requests the stream's path, and serves that one
// until it ends.
func (s *decoderServer) serve() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conn = c
		closed := s.closed
		s.mu.Unlock()
		served := !closed && s.answer(c)
		_ = c.Close()
		if served || closed {
			return
		}
	}
}

// answer serves a connection and reports whether it found the path.
func (s *decoderServer) answer(c net.Conn) (found bool) {
	in := conn.NewConn(c)
	for {
		if !found {
			if err := c.SetReadDeadline(time.Now().Add(writeTimeout)); err != nil {
				return found
			}
		}
		message, err := in.Read()
		if err != nil {
			return found
		}
		request, ok := message.(*base.Request)
		if !ok {
			continue // the decoder's reports
		}
		if request.URL == nil || len(request.URL.Path) < len(s.path) || request.URL.Path[:len(s.path)] != s.path {
			return found
		}
		if !found {
			found = true
			if err := c.SetReadDeadline(time.Time{}); err != nil {
				return found
			}
		}
		if err := s.reply(request); err != nil {
			return found
		}
	}
}

func (s *decoderServer) reply(r *base.Request) error {
	response := base.Response{StatusCode: base.StatusOK, Header: base.Header{"CSeq": r.Header["CSeq"], "Session": {"1"}}}
	switch r.Method {
	case base.Options:
		response.Header["Public"] = base.HeaderValue{"OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"}
	case base.Describe:
		response.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
		response.Header["Content-Base"] = base.HeaderValue{s.url() + "/"}
		response.Body = s.sdp
	case base.Setup:
		response.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1"}
	}
	text, err := response.Marshal()
	if err != nil {
		return err
	}
	if r.Method == base.Play {
		return s.play(text)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.write(text)
}

// close ends the decoder's stream.
func (s *decoderServer) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

func (s *decoderServer) wait() { <-s.done }
