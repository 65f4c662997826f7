package rtsp

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/rtsptest"
)

// gate lets packets through until it is closed. late is how much longer than the least a
// packet was under way, by its timestamp.
type gate struct {
	closed       atomic.Bool
	begun        time.Time
	first        uint32
	least, worst time.Duration
	late         atomic.Int64
}

func (g *gate) through(send func([]byte)) func([]byte) {
	return func(packet []byte) {
		stamp, now := binary.BigEndian.Uint32(packet[4:]), time.Now()
		if g.begun.IsZero() {
			g.begun, g.first = now, stamp
		}
		lag := now.Sub(g.begun) - time.Duration(stamp-g.first)*time.Second/90_000
		g.least = min(g.least, lag)
		g.worst = max(g.worst, lag-g.least)
		g.late.Store(int64(g.worst))
		if !g.closed.Load() {
			send(packet)
		}
	}
}

// Where the camera sends a key frame each second, only the first pictures of each second are
// decoded, and the camera is ok all the time, within one opening. Its silence is noticed as soon.
func TestFirstPicturesOfEachSecondAreDecoded(t *testing.T) {
	jpeg := []string{"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "9", "-huffman", "default"}
	h265 := []string{
		"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast",
		"-x265-params", "keyint=25:min-keyint=25:scenecut=0:open-gop=0:log-level=none:repeat-headers=1", "-tune", "zerolatency",
	}
	for _, c := range []struct {
		name    string
		film    []string
		decode  string
		stale   time.Duration
		thinned bool
	}{
		{"H.264", rtsptest.H264("320x240", "25", 25), drivers.DecodeAuto, 2 * time.Second, true},
		{"H.264, parameter sets in band", append(rtsptest.H264("320x240", "25", 25), inBand...), drivers.DecodeAuto, 2 * time.Second, true},
		{"H.265", h265, drivers.DecodeAuto, 2 * time.Second, true},
		{"Motion JPEG", jpeg, drivers.DecodeAuto, 2 * time.Second, true},
		{"key frames 2 s apart", rtsptest.H264("320x240", "25", 50), drivers.DecodeAuto, 2 * time.Second, false},
		{"all", rtsptest.H264("320x240", "25", 25), drivers.DecodeAll, 2 * time.Second, false},
		{"stale sooner", rtsptest.H264("320x240", "25", 25), drivers.DecodeAuto, 1500 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			camera := &rtsptest.Scripted{}
			camera.Serve(t)
			var sending gate
			camera.SDP = rtsptest.Stream(t.Context(), t, sending.through(camera.Send), c.film...)
			s := settings(camera.URL())
			s.Crop, s.Decode, s.StaleAfter = drivers.Rect{}, c.decode, c.stale
			if kept()*2 > 25 {
				t.Skip("SKIPPED: with so many processors, half of the pictures are decoded")
			}
			watched := watch(t, s)
			await(t, watched, drivers.OK, healedWithin)
			var last drivers.LatestReply
			for start := time.Now(); time.Since(start) < 12*time.Second; time.Sleep(20 * time.Millisecond) {
				var err error
				if last, err = watched.Latest(drivers.LatestRequest{}); err != nil {
					t.Fatal(err)
				}
				r, err := watched.Report()
				if late := time.Duration(sending.late.Load()); err != nil || r.Lost > 0 || late > 700*time.Millisecond {
					t.Skipf("SKIPPED: the stream of this test lost %d packets or was %v late on this busy machine (error %v)", r.Lost, late, err)
				}
				if last.Status != drivers.OK || last.Opens != 1 {
					t.Fatalf("%s (%s) in opening %d after %v", last.Status, last.Cause, last.Opens, time.Since(start))
				}
			}
			if last.Bursts != c.thinned || (last.Skipped > 25) != c.thinned {
				t.Errorf("%d pictures dropped before decoding, bursts %v", last.Skipped, last.Bursts)
			}
			if sum := last.Decoded + last.Skipped; sum < 10*25 {
				t.Errorf("%d decoded and %d skipped in 12 s", last.Decoded, last.Skipped)
			}
			r, err := watched.Report()
			if err != nil || r.Thinned != c.thinned || r.Pictures < 10*25 {
				t.Errorf("%+v (error %v)", r, err)
			}
			sending.closed.Store(true)
			t.Logf("%d decoded, %d skipped; silence named after %v", last.Decoded, last.Skipped, await(t, watched, drivers.Stale, 3*time.Second))
		})
	}
}
