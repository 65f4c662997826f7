package liveness

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"meltwatch/drivers"
)

// The thresholds rest on what a real encoder does to pictures, so they are held
// against one: six seconds of a scene in which nothing moves, through x264 and
// back.
func TestDetectorOnEncodedPictures(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skipf("SKIPPED, no encoder to test with: %v", err)
	}
	for _, c := range []struct {
		name     string
		noise    float64
		repeated bool
		options  string
		want     drivers.Status
	}{
		{"live, a key frame a second", 2, false, "-preset ultrafast -tune zerolatency -g 25", drivers.OK},
		{"live, hardly any noise", 0.7, false, "-preset ultrafast -tune zerolatency -g 25", drivers.OK},
		{"live, coarse", 2, false, "-preset ultrafast -tune zerolatency -crf 30 -g 25", drivers.OK},
		{"live, few bits", 2, false, "-preset veryfast -b:v 200k -maxrate 200k -bufsize 200k -g 25", drivers.OK},
		{"repeated, a key frame a second", 2, true, "-preset ultrafast -tune zerolatency -g 25", drivers.Frozen},
		{"repeated, noisy, with B frames", 3, true, "-preset veryfast -bf 3 -g 25", drivers.Frozen},
		{"repeated, coarse", 2, true, "-preset ultrafast -tune zerolatency -crf 30 -g 25", drivers.Frozen},
		{"repeated, far key frames", 2, true, "-preset ultrafast -tune zerolatency -g 250", drivers.Frozen},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 7))
			first := scene(r, 0, c.noise)
			pictures := throughEncoder(t, 150, strings.Fields(c.options), func() Picture {
				if c.repeated {
					return first
				}
				return scene(r, 0, c.noise)
			})
			j, at := NewDetector(limits), time.Now()
			j.Opened()
			for n, p := range pictures {
				at = at.Add(frameTime)
				j.Frame(time.Duration(n+1)*frameTime, at, p)
			}
			if status, cause := j.Status(at); status != c.want {
				t.Errorf("%s (%s), want %s", status, cause, c.want)
			}
			if !strings.HasSuffix(c.options, "-g 25") || strings.Contains(c.options, "-bf") {
				return // pictures could not be dropped
			}
			thinned := NewDetector(limits)
			thinned.Opened()
			at = time.Now()
			for n, p := range pictures {
				at = at.Add(frameTime)
				if n%25 < kept {
					thinned.Frame(time.Duration(n+1)*frameTime, at, p)
				}
				if status, cause := thinned.Status(at); n >= 100 && status != c.want && (c.want == drivers.OK || n > 140) {
					t.Fatalf("picture %d, thinned: %s (%s), want %s", n, status, cause, c.want)
				}
			}
		})
	}
}

func throughEncoder(t *testing.T, n int, options []string, draw func() Picture) []Picture {
	t.Helper()
	size := fmt.Sprintf("%dx%d", PictureWidth, PictureHeight)
	encode := exec.CommandContext(t.Context(), "ffmpeg", append(append([]string{"-v", "error",
		"-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-r", "25", "-i", "-",
		"-pix_fmt", "yuv420p", "-c:v", "libx264"}, options...), "-f", "h264", "-")...)
	var raw, encoded, decoded bytes.Buffer
	for range n {
		raw.Write(draw().Pixels)
	}
	pipe(t, encode, &raw, &encoded)
	pipe(t, exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "h264", "-i", "-",
		"-pix_fmt", "gray", "-f", "rawvideo", "-"), &encoded, &decoded)
	var pictures []Picture
	for decoded.Len() >= PictureWidth*PictureHeight {
		pictures = append(pictures, Picture{PictureWidth, PictureHeight, decoded.Next(PictureWidth * PictureHeight)})
	}
	if len(pictures) != n {
		t.Fatalf("%d pictures came back of %d", len(pictures), n)
	}
	return pictures
}

func pipe(t *testing.T, program *exec.Cmd, in io.Reader, out io.Writer) {
	t.Helper()
	var complaint bytes.Buffer
	program.Stdin, program.Stdout, program.Stderr = in, out, &complaint
	if err := program.Run(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, complaint.String())
	}
}
