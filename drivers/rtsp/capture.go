package rtsp

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

// session is what brings the camera's stream to the decoder; a relay.Stream.
type session interface {
	// Ready waits for the first picture that decoding can begin at, for a while.
	Ready(ctx context.Context, tick time.Duration) (bool, error)
	// URL is where the decoder opens it.
	URL() string
	// Size is the picture's as the stream tells it, zero while it does not.
	Size() relay.Size
	// End makes the decoder's calls return; Err is then the cause, or an earlier one.
	End(cause error)
	Err() error
	Close()
}

func dial(ctx context.Context, s drivers.CameraSettings, logins *login.Ledger, timeout func() time.Duration) (session, error) {
	stream, err := relay.Open(ctx, s, logins, timeout)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// capture is an open stream. Both calls may block for as long as the camera takes
// for its next picture, and a sick decoder for ever.
type capture interface {
	// read decodes the next frame into the picture and returns its presentation
	// time. When nothing new has come it may hand out the last frame again.
	read(into *gocv.Mat) (presentation time.Duration, ok bool)
	close()
}

type opencv struct{ stream *gocv.VideoCapture }

// decoderTimeout bounds one wait of the decoder on its socket. The session ends
// it earlier by closing the socket; this is for one that was lost.
const decoderTimeout = time.Minute

// options tells the decoder how to open a stream, which OpenCV takes from the
// environment only. The stream begins at a key frame, so a second of it tells what
// it holds; the decoder's own five would keep a slow camera waiting.
var options = sync.OnceValue(func() error {
	return errors.Join(
		os.Setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS",
			fmt.Sprintf("rtsp_transport;tcp|analyzeduration;1000000|fpsprobesize;0|timeout;%d", decoderTimeout.Microseconds())),
		os.Setenv("OPENCV_FFMPEG_LOGLEVEL", "-8"), // silent
	)
})

// open is OpenCV's, through FFmpeg.
func open(url string) (capture, error) {
	if err := options(); err != nil {
		return nil, fmt.Errorf("tell the decoder its options: %w", err)
	}
	// The API is named, because otherwise OpenCV tries others too.
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
