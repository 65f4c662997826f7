// Package rtsptest is an RTSP camera for tests with injectable faults: a real server in
// the test's process. It serves H.264 that ffmpeg encodes from drawn pictures.
package rtsptest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
)

// Size and rate of the camera's picture.
const (
	frameWidth  = 320
	frameHeight = 240
	frameTime   = 40 * time.Millisecond
)

// Scene is what the camera shows.
type Scene int32

// The scenes.
const (
	// Moving is a lit wall with a flame on it and sensor noise.
	Moving Scene = iota
	// Repeated is the last Moving picture, bit for bit, again and again.
	Repeated
	// Black is darkness with sensor noise.
	Black
)

// Camera is a running camera. It ends with the test.
type Camera struct {
	t     testing.TB
	relay *relay
	scene atomic.Int32

	server  *gortsplib.Server
	address string

	mu     sync.Mutex // guards what follows
	ffmpeg *exec.Cmd
	drawn  chan struct{} // closed when the drawing goroutine has ended
}

// Start starts a camera, or skips the test if ffmpeg is missing. With a user, readers
// must log in.
func Start(t testing.TB, user, password string) *Camera {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skipf("SKIPPED, no camera to test with: %v", err)
	}
	c := &Camera{t: t, relay: &relay{user: user, password: password}, address: "127.0.0.1:0"}
	t.Cleanup(func() {
		c.StopPublisher()
		c.Unplug()
	})
	c.Plug()
	c.StartPublisher()
	return c
}

// URL is the address of the stream, without user and password.
func (c *Camera) URL() string { return "rtsp://" + c.address + "/shell" }

// Show changes the scene from the next frame on.
func (c *Camera) Show(s Scene) { c.scene.Store(int32(s)) }

// Stall withholds every packet from the readers, whose connections stay open.
func (c *Camera) Stall(stalled bool) { c.relay.stalled.Store(stalled) }

// Plug starts the server, after Unplug on the same port. The publisher must be started
// again.
func (c *Camera) Plug() {
	c.t.Helper()
	c.server = &gortsplib.Server{
		Handler:     c.relay,
		RTSPAddress: c.address,
		Listen: func(network, address string) (net.Listener, error) {
			var config net.ListenConfig
			listener, err := config.Listen(c.t.Context(), network, address)
			if err == nil {
				c.address = listener.Addr().String()
			}
			return listener, err
		},
	}
	c.relay.attach(c.server)
	if err := c.server.Start(); err != nil {
		c.t.Fatalf("start RTSP server: %v", err)
	}
}

// Unplug ends the server and every connection to it.
func (c *Camera) Unplug() {
	c.server.Close()
	c.relay.detach()
}

// StartPublisher starts the encoder and waits until its stream can be read.
func (c *Camera) StartPublisher() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ffmpeg = exec.CommandContext(c.t.Context(), "ffmpeg", "-v", "error",
		"-f", "rawvideo", "-pix_fmt", "gray", "-s", "320x240", "-r", "25", "-i", "-",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25",
		"-f", "rtsp", "-rtsp_transport", "tcp", "rtsp://"+c.address+publishPath)
	var complaint bytes.Buffer
	c.ffmpeg.Stderr = &complaint
	in, err := c.ffmpeg.StdinPipe()
	if err != nil {
		c.t.Fatalf("start ffmpeg: %v", err)
	}
	if err := c.ffmpeg.Start(); err != nil {
		c.t.Fatalf("start ffmpeg: %v", err)
	}
	c.drawn = make(chan struct{})
	go func() {
		defer close(c.drawn)
		c.draw(in)
	}()
	if !c.relay.published(20 * time.Second) {
		c.t.Fatalf("ffmpeg published nothing: %s", complaint.String())
	}
}

// StopPublisher kills the encoder. Readers stay connected and receive nothing.
func (c *Camera) StopPublisher() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ffmpeg == nil {
		return
	}
	_ = c.ffmpeg.Process.Kill()
	_ = c.ffmpeg.Wait() // reports the kill
	<-c.drawn
	c.ffmpeg = nil
}

// draw writes 25 pictures a second until the encoder ends.
func (c *Camera) draw(to io.Writer) {
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	r := rand.New(rand.NewPCG(1, 1))
	picture := make([]byte, frameWidth*frameHeight)
	for n := 0; ; n++ {
		switch Scene(c.scene.Load()) {
		case Moving:
			drawMoving(picture, n, r)
		case Black:
			for i := range picture {
				picture[i] = byte(r.IntN(3))
			}
		case Repeated:
		}
		if _, err := to.Write(picture); err != nil {
			return
		}
		<-tick.C
	}
}

func drawMoving(picture []byte, n int, r *rand.Rand) {
	for y := range frameHeight {
		for x := range frameWidth {
			light := 60 + (x/16+y/16)%2*30 + r.IntN(9)
			if height := 40 + 20*((n/5)%3); y < height && x > 100 && x < 200 {
				light += 90
			}
			picture[y*frameWidth+x] = byte(light)
		}
	}
}
