package relay

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/rtsptest"
)

// units wraps H.264 units into packets, one each.
type units struct {
	camera *rtsptest.Scripted
	number uint16
	source uint32
}

func (u *units) send(t *testing.T, stamp uint32, last bool, unit ...byte) {
	t.Helper()
	u.number++
	packet := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: u.number, Timestamp: stamp, Marker: last, SSRC: u.source}, Payload: unit}
	text, err := packet.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	u.camera.Send(text)
}

func opened(t *testing.T, camera *rtsptest.Scripted) *Stream {
	t.Helper()
	stream, err := Open(t.Context(), settings(camera.URL()), login.Open(""), timeout, 0, &Survey{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	return stream
}

func ends(t *testing.T, s *Stream, want string) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		if err := s.Err(); err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("ended by %v, want %s", err, want)
			}
			return
		}
	}
	t.Errorf("goes on, want %s", want)
}

func TestSizesOfThePicture(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []Size
		want  string
	}{
		{"larger within the session", []Size{{1280, 720}, {1920, 1088}}, "changed its picture from 1280×720 to 1920×1088"},
		{"smaller within the session", []Size{{1920, 1088}, {640, 368}}, "changed its picture from 1920×1088 to 640×368"},
		{"too large at once", []Size{{8192, 4320}}, "8192×4320 pixels is larger than 4096×2304"},
		{"too large later", []Size{{640, 368}, {16384, 8704}}, "16384×8704 pixels is larger than 4096×2304"},
		{"4K and nothing else", []Size{{3840, 2160}, {3840, 2160}}, "sent nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			camera := &rtsptest.Scripted{SDP: plainSDP}
			camera.Serve(t)
			stream := opened(t, camera)
			to := units{camera: camera}
			for i, size := range c.sizes {
				to.send(t, uint32(9000*i), false, rtsptest.SPS(size.Width, size.Height)...)
				to.send(t, uint32(9000*i), true, 0x65, 1, 2, 3)
			}
			ends(t, stream, c.want)
		})
	}
}

// An encoder that was started again within the session sends under another source:
// that is noticed long before silence would be.
func TestAnotherSourceEndsTheStream(t *testing.T) {
	camera := &rtsptest.Scripted{SDP: plainSDP}
	camera.Serve(t)
	stream, err := Open(t.Context(), settings(camera.URL()), login.Open(""), func() time.Duration { return time.Minute }, 0, &Survey{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	to := units{camera: camera, source: 7}
	to.send(t, 0, true, 0x65, 1, 2, 3)
	time.Sleep(replacedAfter / 10)
	to.source = 8 // a stray packet alone ends nothing
	to.send(t, 9000, true, 0x65, 1, 2, 3)
	to.source = 7
	to.send(t, 9000, true, 0x65, 1, 2, 3)
	if err := stream.Err(); err != nil {
		t.Fatalf("ended by a stray packet: %v", err)
	}
	to.source = 8
	for range 20 {
		time.Sleep(replacedAfter / 10)
		to.send(t, 18000, true, 0x65, 1, 2, 3)
	}
	ends(t, stream, "began another stream")
}

// A viewer that joins between key frames waits, and gives the decoder nothing
// that it could not begin with.
func TestReadyWithTheKeyFrame(t *testing.T) {
	camera := &rtsptest.Scripted{SDP: plainSDP}
	camera.Serve(t)
	stream := opened(t, camera)
	to := units{camera: camera}
	for i := range 20 {
		to.send(t, uint32(9000*i), true, 0x41, 1, 2, 3)
	}
	if ready, err := stream.Ready(t.Context(), 200*time.Millisecond); ready || err != nil {
		t.Fatalf("ready %v, %v without a key frame", ready, err)
	}
	to.send(t, 900_000, false, rtsptest.SPS(640, 368)...)
	to.send(t, 900_000, true, 0x65, 1, 2, 3)
	if ready, err := stream.Ready(t.Context(), 2*time.Second); !ready || err != nil {
		t.Fatalf("ready %v, %v with a key frame", ready, err)
	}
	if stream.Size() != (Size{640, 368}) {
		t.Errorf("size %v", stream.Size())
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(stream.URL()[:strings.LastIndex(stream.URL(), "/")], "rtsp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Another program that does not know the path is sent away.
	if _, err := io.WriteString(conn, "DESCRIBE rtsp://127.0.0.1/guess RTSP/1.0\r\nCSeq: 1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || len(got) > 0 {
		t.Errorf("a stranger was told %q (%v)", got, err)
	}
}

// What a packet holds decides whether a picture may be dropped.
func TestPacketsTellTheKindOfTheirPicture(t *testing.T) {
	kinds := func(i packetInfo) (text string) {
		for _, one := range []struct {
			is   bool
			name string
		}{{i.sets, "sets "}, {i.idr, "idr "}, {i.other, "other "}} {
			if one.is {
				text += one.name
			}
		}
		return strings.TrimSpace(text)
	}
	for _, c := range []struct {
		name    string
		inspect inspector
		payload []byte
		want    string
	}{
		{"H.264 sequence parameters", inspectH264, []byte{0x67, 1, 2}, "sets"},
		{"H.264 picture parameters", inspectH264, []byte{0x68, 1}, "sets"},
		{"H.264 IDR", inspectH264, []byte{0x65, 1}, "idr"},
		{"H.264 other", inspectH264, []byte{0x41, 1}, "other"},
		{"H.264 delimiter", inspectH264, []byte{0x09, 0xf0}, ""},
		{"H.264 recovery point", inspectH264, []byte{0x06, 6, 1}, ""},
		{"H.264 IDR, its first part", inspectH264, []byte{0x7c, 0x85, 1}, "idr"},
		{"H.264 IDR, a later part", inspectH264, []byte{0x7c, 0x05, 1}, "idr"},
		{"H.264 other, a later part", inspectH264, []byte{0x7c, 0x41, 1}, "other"},
		{"H.264 several", inspectH264, []byte{24, 0, 2, 0x67, 1, 0, 2, 0x68, 1, 0, 2, 0x65, 1}, "sets idr"},
		{"H.265 parameters", inspectH265, []byte{34 << 1, 1, 1}, "sets"},
		{"H.265 IDR", inspectH265, []byte{19 << 1, 1, 1}, "idr"},
		{"H.265 IDR without leading pictures", inspectH265, []byte{20 << 1, 1, 1}, "idr"},
		{"H.265 CRA", inspectH265, []byte{21 << 1, 1, 1}, "other"},
		{"H.265 broken link", inspectH265, []byte{16 << 1, 1, 1}, "other"},
		{"H.265 trailing", inspectH265, []byte{1 << 1, 1, 1}, "other"},
		{"H.265 IDR, a later part", inspectH265, []byte{49 << 1, 1, 19}, "idr"},
		{"H.265 delimiter", inspectH265, []byte{35 << 1, 1, 1}, ""},
		{"Motion JPEG", inspectJPEG, []byte{0, 0, 0, 0, 1, 50, 80, 45}, "idr"},
		{"Motion JPEG, a later part", inspectJPEG, []byte{0, 0, 9, 0, 1, 50, 80, 45}, "idr"},
		{"another format", inspectorOf(nil), []byte{1}, "other"},
		{"nothing", inspectH264, nil, ""},
	} {
		if got := kinds(c.inspect(c.payload)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzVideoAlone: whatever the description, what is left of it is read as it was or
// better, and is not longer.
func FuzzVideoAlone(f *testing.F) {
	f.Add([]byte(plainSDP))
	f.Add([]byte("v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\na=sendonly\r\nm=video"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := firstVideo(body)
		if len(got) > len(body) || parses(body) && !parses(got) {
			t.Errorf("%q became %q", body, got)
		}
	})
}

func FuzzPeek(f *testing.F) {
	f.Add(append([]byte{24, 0, 9}, rtsptest.SPS(640, 368)...))
	f.Add([]byte{28, 0x85, 1})
	f.Add([]byte{48 << 1, 1, 0, 4, 66, 1, 1, 1})
	f.Add([]byte{0, 0, 0, 0, 1, 50, 80, 45})
	f.Fuzz(func(t *testing.T, payload []byte) {
		for name, peek := range map[string]inspector{"h264": inspectH264, "h265": inspectH265, "jpeg": inspectJPEG} {
			g := peek(payload)
			if g.size != (Size{}) && !g.begins {
				t.Errorf("%s: a size of %v without a beginning", name, g.size)
			}
			_ = g.size.Check()
		}
	})
}
