package serve

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"meltwatch/simulator/scene"
)

// fps is the camera's frames a second, and how often one of them can be decoded
// on its own.
const (
	fps       = 25
	keyframes = fps
)

// encoder is an ffmpeg process that turns raw pictures into H.264: one coded picture for
// each raw one, in the same order, without look-ahead.
type encoder struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *flvReader
	stdout  io.Reader
	stderr  tail
}

// encoderArguments select the cheapest H.264 encoding. The scene's pictures use
// the full range of BT.601, and the stream says so.
func encoderArguments() []string {
	return strings.Fields(fmt.Sprintf(`-hide_banner -loglevel error -nostdin
		-threads 1 -f rawvideo -pix_fmt yuvj420p -video_size %dx%d -framerate %d -i pipe:0
		-an -c:v libx264 -preset ultrafast -tune zerolatency -threads 1 -bf 0
		-g %d -keyint_min %d -sc_threshold 0 -crf %d -pix_fmt yuvj420p -color_range pc -colorspace smpte170m
		-f flv -flvflags no_duration_filesize -flush_packets 1 pipe:1`,
		scene.Width, scene.Height, fps, keyframes, keyframes, quality))
}

// quality is x264's constant rate factor.
const quality = 23

// startEncoder starts ffmpeg, which runs until ctx ends or close is called.
func startEncoder(ctx context.Context) (*encoder, error) {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return nil, fmt.Errorf("find video encoder: %w: install ffmpeg (Debian: apt install ffmpeg), or serve without camera", err)
	}
	e := &encoder{command: exec.CommandContext(ctx, path, encoderArguments()...)}
	e.command.Stderr = &e.stderr
	e.command.WaitDelay = 2 * time.Second
	if e.in, err = e.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("connect video encoder: %w", err)
	}
	if e.stdout, err = e.command.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("connect video encoder: %w", err)
	}
	if err := e.command.Start(); err != nil {
		return nil, fmt.Errorf("start video encoder: %w", err)
	}
	return e, nil
}

// write passes one picture to ffmpeg and blocks while that is busy.
func (e *encoder) write(p *image.YCbCr) error {
	for _, plane := range [][]byte{p.Y, p.Cb, p.Cr} {
		if _, err := e.in.Write(plane); err != nil {
			return fmt.Errorf("write picture to encoder: %w", err)
		}
	}
	return nil
}

// read returns the next coded picture, or the parameters, which come first.
func (e *encoder) read() (coded, error) {
	var err error
	if e.out == nil {
		if e.out, err = newFLVReader(e.stdout); err != nil {
			return coded{}, err
		}
	}
	return e.out.next()
}

// close ends ffmpeg, after read has reached the end of the stream, and returns its error
// output.
func (e *encoder) close() error {
	// A pipe without a reader closes with an error; Wait returns the cause.
	_ = e.in.Close()
	if err := e.command.Wait(); err != nil {
		return fmt.Errorf("run video encoder: %w: %q", err, e.stderr.String())
	}
	return nil
}

// tail keeps the first bytes of a program's error output.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const tailBytes = 1 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(p[:min(len(p), tailBytes-t.text.Len())])
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.text.String())
}
