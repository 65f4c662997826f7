package serve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
)

// streamPath is the path of the camera's URL.
const streamPath = "/furnace"

// rtspServer is the camera's RTSP server, over TCP only. Slow viewers lose packets, as
// usual in RTSP, and do not delay the others.
type rtspServer struct {
	ready chan struct{} // closed when viewers can connect for the first time
	first uint32        // RTP time stamp of second 0

	turn  sync.Mutex // held while the server starts or stops
	ended bool

	mu      sync.Mutex           // never held while the server starts or stops: its handlers take it
	address string               // of the first listener, used again after an absence
	session *description.Session // nil until the encoder has described its stream
	packets *rtph264.Encoder
	server  *gortsplib.Server // nil while absent
	stream  *gortsplib.ServerStream
}

func newRTSPServer(address string) *rtspServer {
	return &rtspServer{ready: make(chan struct{}), address: address, first: rand.Uint32()}
}

// open starts serving with the stream's parameters. Later calls do nothing.
func (s *rtspServer) open(sps, pps []byte) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.opened() || s.ended {
		return nil
	}
	video := &format.H264{PayloadTyp: 96, PacketizationMode: 1, SPS: sps, PPS: pps}
	packets, err := video.CreateEncoder()
	if err != nil {
		return fmt.Errorf("set up packets: %w", err)
	}
	s.packets = packets
	s.session = &description.Session{Medias: []*description.Media{{
		Type: description.MediaTypeVideo, Formats: []format.Format{video},
	}}}
	if err := s.listen(); err != nil {
		return err
	}
	close(s.ready)
	return nil
}

func (s *rtspServer) opened() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// present starts or stops the server.
func (s *rtspServer) present(there bool) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	switch {
	case !s.opened() || s.ended:
		return nil
	case !there:
		s.shut()
		return nil
	case s.server == nil:
		return s.listen()
	}
	return nil
}

// end stops the server for good and waits for its goroutines.
func (s *rtspServer) end() {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.ended = true
	s.shut()
}

// listen starts the server. The caller holds turn.
func (s *rtspServer) listen() error {
	server := &gortsplib.Server{Handler: s, RTSPAddress: s.address}
	var bound net.Listener
	server.Listen = func(network, address string) (l net.Listener, err error) {
		bound, err = net.Listen(network, address) //nolint:noctx // binding a port does not wait
		return bound, err
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("listen for camera viewers: %w", err)
	}
	stream := &gortsplib.ServerStream{Server: server, Desc: s.session}
	if err := stream.Initialize(); err != nil {
		server.Close()
		return fmt.Errorf("set up stream: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.stream, s.address = server, stream, bound.Addr().String()
	return nil
}

// shut stops a running server. The caller holds turn.
func (s *rtspServer) shut() {
	s.mu.Lock()
	server, stream := s.server, s.stream
	s.server, s.stream = nil, nil
	s.mu.Unlock()
	if server != nil {
		stream.Close()
		server.Close()
	}
}

// send packs a picture and sends it to the viewers. stamp counts from the start, in
// units of clockRate.
func (s *rtspServer) send(picture coded, stamp uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		return nil
	}
	units := picture.units
	if picture.key { // a viewer can start here without the session's description
		video := s.session.Medias[0].Formats[0].(*format.H264)
		units = append([][]byte{video.SPS, video.PPS}, units...)
	}
	packets, err := s.packets.Encode(units)
	if err != nil {
		return fmt.Errorf("pack picture: %w", err)
	}
	for _, packet := range packets {
		packet.Timestamp = s.first + stamp
		if err := s.stream.WritePacketRTP(s.session.Medias[0], packet); err != nil {
			return fmt.Errorf("send picture: %w", err)
		}
	}
	return nil
}

// url returns the address for viewers.
func (s *rtspServer) url() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "rtsp://" + s.address + streamPath
}

var errNoStream = errors.New("unknown stream: the camera serves " + streamPath)

// find returns the stream at path.
func (s *rtspServer) find(path string) (*base.Response, *gortsplib.ServerStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if path != streamPath || s.stream == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, errNoStream
	}
	return &base.Response{StatusCode: base.StatusOK}, s.stream, nil
}

// OnDescribe answers DESCRIBE.
func (s *rtspServer) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return s.find(c.Path)
}

// OnSetup answers SETUP.
func (s *rtspServer) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return s.find(c.Path)
}

// OnPlay answers PLAY.
func (s *rtspServer) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}
