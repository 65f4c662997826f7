package rtsp

import (
	"errors"
	"fmt"
	"os"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
)

// capture is an open stream. Both calls may block for as long as the stream's
// timeout, and a sick decoder for ever.
type capture interface {
	// read decodes the next frame into the picture and returns its presentation
	// time. When nothing new has come it may hand out the last frame again.
	read(into *gocv.Mat) (presentation time.Duration, ok bool)
	close()
}

type opencv struct{ stream *gocv.VideoCapture }

// open is OpenCV's, through FFmpeg: RTSP over TCP, because a furnace hall loses
// datagrams. OpenCV takes these options from the environment only, so a process
// opens one stream at a time.
func open(s drivers.CameraSettings) (capture, error) {
	// The option bounds one wait on the socket. A call can make three in a row
	// before it gives up, so each gets half of the timeout: then the call ends
	// before blocked takes it for lost.
	options := fmt.Sprintf("rtsp_transport;tcp|timeout;%d", (s.Timeout / 2).Microseconds())
	for key, value := range map[string]string{
		"OPENCV_FFMPEG_CAPTURE_OPTIONS": options,
		// Silent: FFmpeg's own lines can hold the URL, and with it the password.
		"OPENCV_FFMPEG_LOGLEVEL": "-8",
	} {
		if err := os.Setenv(key, value); err != nil {
			return nil, fmt.Errorf("set %s: %w", key, err)
		}
	}
	address, err := withCredentials(s)
	if err != nil {
		return nil, err
	}
	// The API is named, because otherwise OpenCV tries others, which print the
	// URL. For the same reason its error is dropped here.
	stream, err := gocv.OpenVideoCaptureWithAPI(address, gocv.VideoCaptureFFmpeg)
	if err != nil {
		return nil, errors.New("the camera answers but gives no stream; check the URL's path, camera.username and the password")
	}
	return opencv{stream}, nil
}

func (c opencv) read(into *gocv.Mat) (time.Duration, bool) {
	if !c.stream.Read(into) || into.Empty() {
		return 0, false
	}
	milliseconds := c.stream.Get(gocv.VideoCapturePosMsec)
	return time.Duration(milliseconds * float64(time.Millisecond)), true
}

// close frees the stream; OpenCV reports nothing about it.
func (c opencv) close() { _ = c.stream.Close() }
