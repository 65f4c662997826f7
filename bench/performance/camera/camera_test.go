package camera

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"meltwatch/bench/performance/camera/code"
	"meltwatch/bench/performance/figures"
	"meltwatch/bench/rig"
	"meltwatch/simulator/serve"
)

// The clip's pictures arrive over RTSP in real time, and the number in each is that of the
// picture that was sent.
func TestClipIsServedInRealTime(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: ffmpeg is not installed")
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	s := sizes()[0]
	path, err := film(ctx, t.TempDir(), s)
	if err != nil {
		t.Fatal(err)
	}
	sent := &times{}
	clip, err := serve.PlayClip(ctx, path, perSecond, sent.note)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := clip.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, err := startFrigate(ctx, Options{}, clip.URL(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}()
	var first int
	for first = r.newest(); first < 0; first = r.newest() {
		if err := rig.Pause(ctx, 20*time.Millisecond); err != nil {
			t.Fatal("no picture arrived")
		}
	}
	if age, known := sent.age(first); !known || age > 30*time.Second {
		t.Errorf("picture %d was sent %v ago, known %v", first, age, known)
	}
	for r.newest() == first {
		if err := rig.Pause(ctx, 20*time.Millisecond); err != nil {
			t.Fatalf("picture %d stays the newest", first)
		}
	}
}

func TestPicturesAreReadFromPipes(t *testing.T) {
	h := &held{number: -1}
	readNumbers(strings.NewReader("3\nnoise\n17\n"), h)
	if h.get() != 17 {
		t.Errorf("number %d", h.get())
	}
	const width, height = 1280, 64
	picture := make([]byte, width*height*3/2)
	code.Write(picture, width, 201)
	readRaw(bytes.NewReader(append(picture, picture[:100]...)), h, width, height)
	if h.get() != 201 {
		t.Errorf("number %d", h.get())
	}
}

func TestAgeIsThatOfThePictureSentLast(t *testing.T) {
	sent := &times{}
	if _, known := sent.age(5); known {
		t.Error("a picture that was never sent has an age")
	}
	sent.note(5)
	if age, known := sent.age(5); !known || age < 0 || age > time.Minute {
		t.Errorf("%v, %v", age, known)
	}
	for _, other := range []int{-1, pictures, 255} {
		if _, known := sent.age(other); known {
			t.Errorf("picture %d has an age", other)
		}
	}
}

// A film that cannot be written is an error, and leaves no clip.
func TestDrawingEndsWithItsWriter(t *testing.T) {
	err := draw(func([]byte) (int, error) { return 0, io.ErrClosedPipe })
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
}

// The tables name the figures of viewers that are measured.
func TestRowsNameViewers(t *testing.T) {
	known := figures.Round{}
	for _, s := range sizes() {
		for _, v := range viewers() {
			for _, figure := range []string{"core", "PSS", "age p50", "age p95"} {
				known[s.name+" "+v.name+" "+figure] = 1
			}
		}
	}
	for _, table := range Tables() {
		for _, row := range table.Rows {
			for _, name := range []string{row.Ours, row.Peer, row.Limit} {
				if known[name] == 0 {
					t.Errorf("%s: %s: %q is not measured", table.Title, row.What, name)
				}
			}
		}
	}
}
