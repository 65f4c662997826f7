// Command bench-every decodes every frame of a camera with gocv, as most programs do, and
// prints the number that each shows. The performance bench compares with it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"gocv.io/x/gocv"

	"meltwatch/bench/performance/camera/code"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench-every:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	if len(arguments) != 1 {
		return errors.New("give the camera's URL")
	}
	if err := os.Setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp"); err != nil {
		return err
	}
	stream, err := gocv.OpenVideoCaptureWithAPI(arguments[0], gocv.VideoCaptureFFmpeg)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	picture := gocv.NewMat()
	defer func() { _ = picture.Close() }()
	text := bufio.NewWriter(out)
	for stream.Read(&picture) {
		if picture.Empty() {
			continue
		}
		width := picture.Cols()
		number := code.Read(code.Width*width/code.Whole, code.Height*width/code.Whole, func(x, y int) byte { return picture.GetVecbAt(y, x)[1] })
		if _, err := fmt.Fprintln(text, number); err != nil {
			return err
		}
		if err := text.Flush(); err != nil {
			return nil //nolint:nilerr // the reader has gone
		}
	}
	return errors.New("the stream ended")
}
