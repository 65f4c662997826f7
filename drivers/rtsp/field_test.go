package rtsp

import (
	"context"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/rtsptest"
)

var sprop = regexp.MustCompile(`; *sprop-parameter-sets=[^;\r]*`)

var inBand = []string{"-bsf:v", "dump_extra"}

// Cameras that plants have and that this project failed on: each is ok, and stays
// so, within one opening.
func TestCamerasOfTheField(t *testing.T) {
	for _, c := range []struct {
		name   string
		camera *rtsptest.Scripted
		film   []string
		// within the first picture must come, and the camera be ok for a spell after.
		within, spell time.Duration
	}{
		{"UDP alone", &rtsptest.Scripted{UDP: true}, rtsptest.H264("640x360", "10", 10), 6 * time.Second, 3 * time.Second},
		{"digest SHA-256 alone", &rtsptest.Scripted{Schemes: []string{"SHA-256"}}, rtsptest.H264("640x360", "10", 10), 6 * time.Second, 3 * time.Second},
		{"Motion JPEG", &rtsptest.Scripted{}, []string{
			"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=5", "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "6", "-huffman", "default",
		}, 6 * time.Second, 3 * time.Second},
		{"no parameter sets described", &rtsptest.Scripted{}, append(rtsptest.H264("640x360", "10", 10), inBand...), 6 * time.Second, 3 * time.Second},
		{"key frames 6 s apart", &rtsptest.Scripted{}, rtsptest.H264("640x360", "10", 60), 15 * time.Second, 3 * time.Second},
		{"one a second", &rtsptest.Scripted{}, rtsptest.H264("640x360", "1", 2), 12 * time.Second, 8 * time.Second},
		{"one in two seconds", &rtsptest.Scripted{}, rtsptest.H264("640x360", "1/2", 2), 20 * time.Second, 12 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.camera.User, c.camera.Password = "viewer", "p@ss:w0rd#1"
			c.camera.Serve(t)
			sdp := rtsptest.Stream(t.Context(), t, c.camera.Send, c.film...)
			if strings.HasPrefix(c.name, "no parameter") {
				sdp = sprop.ReplaceAllString(sdp, "")
			}
			c.camera.SDP = sdp
			s := settings(c.camera.URL())
			s.Username, s.Password, s.Crop = "viewer", "p@ss:w0rd#1", drivers.Rect{}
			watched := watch(t, s)
			t.Logf("first picture after %v", await(t, watched, drivers.OK, c.within))
			var last drivers.LatestReply
			for start := time.Now(); time.Since(start) < c.spell; time.Sleep(50 * time.Millisecond) {
				var err error
				if last, err = watched.Latest(drivers.LatestRequest{}); err != nil {
					t.Fatal(err)
				}
				if last.Status != drivers.OK || last.Opens != 1 {
					t.Fatalf("%s (%s) in opening %d after %v", last.Status, last.Cause, last.Opens, time.Since(start))
				}
			}
			if last.PictureWidth != 640 || last.PictureHeight != 360 {
				t.Errorf("picture of %d×%d", last.PictureWidth, last.PictureHeight)
			}
		})
	}
}

// A picture that changes its size within the session is never decoded over the
// remains of the old one: the stream is opened again, the new size is reported, and a
// crop that no longer fits is named.
func TestPictureChangesItsSize(t *testing.T) {
	camera := &rtsptest.Scripted{}
	camera.Serve(t)
	var showing atomic.Int32
	only := func(n int32) func([]byte) {
		return func(packet []byte) {
			if showing.Load() == n {
				camera.Send(packet)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	camera.SDP = rtsptest.Stream(ctx, t, only(0), append(rtsptest.H264("640x360", "10", 5), inBand...)...)
	rtsptest.Stream(ctx, t, only(1), append(rtsptest.H264("960x540", "10", 5), inBand...)...)
	rtsptest.Stream(ctx, t, only(2), append(rtsptest.H264("320x180", "10", 5), inBand...)...)
	s := settings(camera.URL())
	s.Crop = drivers.Rect{X: 400, Y: 200, Width: 200, Height: 150}
	c := watch(t, s)
	await(t, c, drivers.OK, healedWithin)

	showing.Store(1)
	awaitSize(t, c, 960, 540)
	await(t, c, drivers.OK, healedWithin)

	showing.Store(2)
	awaitSize(t, c, 320, 180)
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		reply, err := c.Latest(drivers.LatestRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(reply.Cause, "camera.crop: 200×150 at (400, 200) reaches out of the camera's 320×180 picture") && reply.Refused {
			break
		}
		if time.Since(start) > seenWithin {
			t.Fatalf("%s (%s) with a crop outside the picture", reply.Status, reply.Cause)
		}
	}
	reply, err := c.Latest(drivers.LatestRequest{})
	if err != nil || reply.Resized < 2 {
		t.Errorf("%d changes of size counted, %v", reply.Resized, err)
	}
}

func awaitSize(t *testing.T, c *Camera, width, height int) {
	t.Helper()
	start := time.Now()
	for {
		reply, err := c.Latest(drivers.LatestRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if reply.PictureWidth == width && reply.PictureHeight == height {
			t.Logf("%d×%d after %v", width, height, time.Since(start))
			return
		}
		if time.Since(start) > seenWithin {
			t.Fatalf("picture of %d×%d, want %d×%d (%s: %s)", reply.PictureWidth, reply.PictureHeight, width, height, reply.Status, reply.Cause)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
