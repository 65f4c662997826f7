package serve

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/pion/rtp"
)

// needFFmpeg skips, aloud, what cannot be tested without an encoder.
func needFFmpeg(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: ffmpeg is not installed (Debian: apt install ffmpeg)")
	}
}

// filming starts a furnace with its camera.
func filming(t *testing.T, o Options) *Server {
	t.Helper()
	needFFmpeg(t)
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// seen is a picture as it reached a viewer.
type seen struct {
	stamp uint32 // RTP, clockRate
	units [][]byte
}

func (s seen) key() bool {
	for _, u := range s.units {
		if u[0]&0x1f == 5 { // a slice of an IDR picture: H.264, table 7-1
			return true
		}
	}
	return false
}

// viewer watches a camera through RTSP over TCP.
type viewer struct {
	testing.TB
	pictures chan seen  // those that nobody takes in time are dropped
	ended    chan error // why the connection is over
}

func watch(t testing.TB, s *Server) *viewer {
	t.Helper()
	address, err := base.ParseURL(s.CameraURL())
	if err != nil {
		t.Fatal(err)
	}
	transport := gortsplib.TransportTCP
	client := &gortsplib.Client{
		Scheme: address.Scheme, Host: address.Host, Transport: &transport,
		ReadTimeout: patience, WriteTimeout: patience,
	}
	if err := client.Start2(); err != nil {
		t.Fatal(err)
	}
	v := &viewer{TB: t, pictures: make(chan seen, 1000), ended: make(chan error, 1)}
	t.Cleanup(client.Close)
	session, _, err := client.Describe(address)
	if err != nil {
		t.Fatal(err)
	}
	var video *format.H264
	media := session.FindFormat(&video)
	if media == nil || len(video.SPS) == 0 || len(video.PPS) == 0 {
		t.Fatalf("no H.264 with parameters in %+v", session)
	}
	if _, err := client.Setup(session.BaseURL, media, 0, 0); err != nil {
		t.Fatal(err)
	}
	unpack, err := video.CreateDecoder()
	if err != nil {
		t.Fatal(err)
	}
	client.OnPacketRTP(media, video, func(p *rtp.Packet) { v.packet(unpack, p) })
	if _, err := client.Play(nil); err != nil {
		t.Fatal(err)
	}
	go func() { v.ended <- client.Wait() }()
	return v
}

func (v *viewer) packet(unpack *rtph264.Decoder, p *rtp.Packet) {
	units, err := unpack.Decode(p)
	if errors.Is(err, rtph264.ErrMorePacketsNeeded) || errors.Is(err, rtph264.ErrNonStartingPacketAndNoPrevious) {
		return
	}
	if err != nil {
		v.Errorf("unpack: %v", err)
		return
	}
	select {
	case v.pictures <- seen{p.Timestamp, units}:
	default:
	}
}

// next is the next picture.
func (v *viewer) next() seen {
	v.Helper()
	select {
	case p := <-v.pictures:
		return p
	case err := <-v.ended:
		v.Fatalf("connection ended: %v", err)
	case <-time.After(patience):
		v.Fatal("no picture")
	}
	return seen{}
}

// some are the next n pictures from a key picture on, of those sent from now.
func (v *viewer) some(n int) []seen {
	v.Helper()
	for len(v.pictures) > 0 {
		<-v.pictures
	}
	list := []seen{v.next()}
	for !list[0].key() {
		list[0] = v.next()
	}
	for len(list) < n {
		list = append(list, v.next())
	}
	return list
}

// decode makes 64 × 64 RGB of the crop of each picture, as an agent does.
func decode(t testing.TB, list []seen) [][]byte {
	t.Helper()
	var stream bytes.Buffer
	for _, p := range list {
		for _, u := range p.units {
			stream.Write([]byte{0, 0, 0, 1})
			stream.Write(u)
		}
	}
	const side, shrink = 512, 8
	command := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields(`-loglevel error -f h264 -i pipe:0
		-vf crop=512:512:384:176 -f rawvideo -pix_fmt rgb24 pipe:1`)...)
	command.Stdin = &stream
	raw, err := command.Output()
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	var crops [][]byte
	for ; len(raw) >= 3*side*side; raw = raw[3*side*side:] {
		sums := make([]int, 3*side/shrink*side/shrink)
		for n, b := range raw[:3*side*side] {
			x, y := n/3%side, n/3/side
			sums[3*(y/shrink*side/shrink+x/shrink)+n%3] += int(b)
		}
		crop := make([]byte, len(sums))
		for n, s := range sums {
			crop[n] = byte((s + shrink*shrink/2) / (shrink * shrink))
		}
		crops = append(crops, crop)
	}
	if len(crops) != len(list) {
		t.Fatalf("%d of %d pictures decoded", len(crops), len(list))
	}
	return crops
}

// apart is the mean absolute difference of two pictures in grey levels.
func apart(a, b []byte) float64 {
	var sum int
	for n := range a {
		sum += max(int(a[n])-int(b[n]), int(b[n])-int(a[n]))
	}
	return float64(sum) / float64(len(a))
}

func brightness(a []byte) float64 { return apart(a, make([]byte, len(a))) }
