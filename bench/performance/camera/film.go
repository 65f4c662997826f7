package camera

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"meltwatch/bench/performance/camera/code"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

const (
	perSecond = 25
	// pictures are those of the clip: fewer than its code can count.
	pictures = 250
	// keyEvery is the distance of key frames in the clip.
	keyEvery = perSecond
)

// size is a camera's picture, and its stream's bits a second.
type size struct {
	name          string
	width, height int
	bits          string
}

func sizes() []size {
	return []size{{"720p25", 1280, 720, "3M"}, {"1080p25", 1920, 1080, "6M"}}
}

// film draws and encodes the clip of a size, unless the folder holds it: ten seconds of the
// simulated furnace, encoded as a camera does, without pictures that depend on later ones.
func film(ctx context.Context, folder string, s size) (path string, err error) {
	path = filepath.Join(folder, s.name+".flv")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // anyone may read a film
		return "", err
	}
	arguments := strings.Fields(fmt.Sprintf(`-hide_banner -loglevel error -y
		-f rawvideo -pix_fmt yuvj420p -video_size %dx%d -framerate %d -i pipe:0
		-vf scale=%d:%d -an -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g %d -keyint_min %d -sc_threshold 0
		-b:v %s -maxrate %s -bufsize %s -pix_fmt yuvj420p -f flv`,
		scene.Width, scene.Height, perSecond, s.width, s.height, keyEvery, keyEvery, s.bits, s.bits, s.bits))
	next := path + ".new"
	encoder := exec.CommandContext(ctx, "ffmpeg", append(arguments, next)...)
	encoder.Stderr = os.Stderr
	in, err := encoder.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := encoder.Start(); err != nil {
		return "", fmt.Errorf("start ffmpeg: %w; install it (Debian: apt install ffmpeg)", err)
	}
	err = draw(in.Write)
	if err = errors.Join(err, in.Close(), encoder.Wait()); err != nil {
		return "", err
	}
	return path, os.Rename(next, path)
}

// draw draws the clip's pictures, each with its number.
func draw(write func([]byte) (int, error)) error {
	const seed = 1
	melt := furnace.New(furnace.Demo(), furnace.NewBatch(seed, seed), seed, seed)
	film := scene.New(melt.Batch())
	picture := image.NewYCbCr(image.Rect(0, 0, scene.Width, scene.Height), image.YCbCrSubsampleRatio420)
	const warm = 60 // seconds
	for n := range pictures {
		film.Full(melt.AdvanceTo(warm+float64(n)/perSecond), picture)
		code.Write(picture.Y, picture.YStride, n)
		for _, plane := range [][]byte{picture.Y, picture.Cb, picture.Cr} {
			if _, err := write(plane); err != nil {
				return fmt.Errorf("write picture %d: %w", n, err)
			}
		}
	}
	return nil
}
