package rtsp

// #include <unistd.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
	"meltwatch/drivers/liveness"
	"meltwatch/drivers/rtsp/login"
	"meltwatch/drivers/rtsp/relay"
)

// session delivers the camera's stream to the decoder; a relay.Stream.
type session interface {
	// Ready waits up to tick for the first picture at which decoding can start.
	Ready(ctx context.Context, tick time.Duration) (bool, error)
	// URL is the decoder's address of the stream.
	URL() string
	// Size is the picture's size according to the stream, zero while it is unknown.
	Size() relay.Size
	// End makes the decoder's calls return; Err is then the cause, or an earlier one.
	End(cause error)
	Err() error
	Close()
}

func dial(ctx context.Context, s drivers.CameraSettings, logins *login.Ledger, timeout func() time.Duration, survey *relay.Survey) (session, error) {
	keep := 0
	if s.Thinnable() {
		keep = kept()
	}
	stream, err := relay.Open(ctx, s, logins, timeout, keep, survey)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// kept is how many pictures of a group are decoded, so that two come out of the decoder
// before the next group, which can be compared. It holds one until the following one begins, and one for each
// thread but the first; OpenCV makes a thread for each processor that is online.
func kept() int { return 2 + int(C.sysconf(C._SC_NPROCESSORS_ONLN)) }

// capture is an open stream. Both calls may block until the camera's next picture, and
// indefinitely if the decoder hangs.
type capture interface {
	// read decodes the next frame into the picture and returns its presentation
	// time. Without a new frame it may return the last one again.
	read(into *gocv.Mat) (presentation time.Duration, ok bool)
	close()
}

type opencv struct{ stream *gocv.VideoCapture }

// decoderTimeout bounds one wait of the decoder on its socket. The session normally
// ends it earlier by closing the socket.
const decoderTimeout = time.Minute

// options sets how the decoder opens a stream, which OpenCV takes only from the
// environment. The stream starts at a key frame, so one second is enough to analyse it;
// the decoder's default of five would delay a slow camera.
var options = sync.OnceValue(func() error {
	return errors.Join(
		os.Setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS",
			fmt.Sprintf("rtsp_transport;tcp|analyzeduration;1000000|fpsprobesize;0|timeout;%d", decoderTimeout.Microseconds())),
		os.Setenv("OPENCV_FFMPEG_LOGLEVEL", "-8"), // silent
	)
})

// open opens a stream with OpenCV through FFmpeg.
func open(url string) (capture, error) {
	if err := options(); err != nil {
		return nil, fmt.Errorf("set decoder options: %w", err)
	}
	// The API is named, because OpenCV would otherwise try others too.
	stream, err := gocv.OpenVideoCaptureWithAPI(url, gocv.VideoCaptureFFmpeg)
	if err != nil {
		return nil, errors.New("the camera's video cannot be decoded; set H.264, H.265 or MJPEG in the camera")
	}
	return opencv{stream}, nil
}

func (c opencv) read(into *gocv.Mat) (time.Duration, bool) {
	if !c.stream.Read(into) || into.Empty() {
		return 0, false
	}
	return liveness.Presentation(c.stream.Get(gocv.VideoCapturePosMsec)), true
}

// close frees the stream; OpenCV reports nothing about it.
func (c opencv) close() { _ = c.stream.Close() }
