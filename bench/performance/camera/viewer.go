package camera

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	client "meltwatch/agent/camera"
	"meltwatch/bench/performance/camera/code"
	"meltwatch/bench/rig"
	"meltwatch/drivers"
)

// held is the newest picture that a viewer holds; −1 before the first.
type held struct {
	mu     sync.Mutex
	number int
}

func (h *held) set(number int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.number = number
}

func (h *held) get() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.number
}

// viewer is one way to have a recent picture of the camera.
type viewer struct {
	name string
	// start starts it. newest returns the number of the picture that it holds now, −1
	// without one; pid is the process that decodes.
	start func(ctx context.Context, o Options, url string, s size) (running, error)
}

// running is a viewer that runs.
type running struct {
	newest func() int
	pid    func() (int, error)
	stop   func() error
}

func viewers() []viewer {
	return []viewer{
		{"ours", startOurs},
		{"every", func(ctx context.Context, o Options, url string, _ size) (running, error) {
			return startProgram(ctx, exec.Command(o.Every, url), readNumbers) //nolint:noctx // stop ends it
		}},
		{"frigate", startFrigate},
		{"key", startKey},
	}
}

// startOurs runs the agent's own client, which asks the camera child five times a second.
func startOurs(ctx context.Context, o Options, url string, s size) (running, error) {
	settings := drivers.CameraSettings{
		URL: url, Transport: drivers.TransportTCP, Decode: drivers.DecodeAuto, Timeout: 5 * time.Second,
		Crop:  drivers.Rect{Width: code.Width * s.width / code.Whole, Height: code.Height * s.width / code.Whole},
		Width: code.Side, Height: code.Side, Resize: "area",
		StaleAfter: 2 * time.Second, FrozenAfter: 10 * time.Second, BlackAfter: 10 * time.Second,
	}
	c := client.New(filepath.Join(o.Programs.Bin, child), settings, func() (drivers.CameraSettings, error) { return settings, nil },
		slog.New(slog.DiscardHandler), rig.Silent{})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return running{
		newest: func() int {
			f, _ := c.Newest()
			if len(f.Pixels) == 0 {
				return -1
			}
			return code.Read(f.Width, f.Height, func(x, y int) byte { return f.Pixels[3*(y*f.Width+x)] })
		},
		pid: func() (int, error) {
			children, err := rig.Children(os.Getpid())
			if err == nil && children[child] == 0 {
				err = errors.New("the camera child does not run")
			}
			return children[child], err
		},
		stop: func() error {
			cancel()
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	}, nil
}

// child is the camera child's program.
const child = "meltwatch-camera"

// startFrigate decodes as Frigate's presets of RTSP cameras and its default detection do:
// five pictures a second of 1280×720, as raw video over a pipe.
func startFrigate(ctx context.Context, _ Options, url string, _ size) (running, error) {
	arguments := strings.Fields("-hide_banner -loglevel error -threads 2 -avoid_negative_ts make_zero -fflags +genpts+discardcorrupt " +
		"-rtsp_transport tcp -timeout 5000000 -use_wallclock_as_timestamps 1 -i " + url +
		" -r 5 -vf fps=5,scale=1280:720 -threads 2 -f rawvideo -pix_fmt yuv420p pipe:")
	return startProgram(ctx, exec.Command("ffmpeg", arguments...), func(in io.Reader, h *held) { readRaw(in, h, 1280, 720) }) //nolint:noctx // stop ends it
}

// startKey decodes key frames alone.
func startKey(ctx context.Context, _ Options, url string, s size) (running, error) {
	arguments := strings.Fields("-hide_banner -loglevel error -threads 1 -skip_frame nokey -rtsp_transport tcp -i " + url +
		" -vsync passthrough -f rawvideo -pix_fmt yuv420p pipe:")
	return startProgram(ctx, exec.Command("ffmpeg", arguments...), func(in io.Reader, h *held) { readRaw(in, h, s.width, s.height) }) //nolint:noctx // stop ends it
}

// startProgram runs a program whose output tells the newest picture.
func startProgram(_ context.Context, command *exec.Cmd, read func(io.Reader, *held)) (running, error) {
	out, err := command.StdoutPipe()
	if err != nil {
		return running{}, err
	}
	if err := command.Start(); err != nil {
		return running{}, fmt.Errorf("start %s: %w", filepath.Base(command.Path), err)
	}
	h := &held{number: -1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		read(out, h)
	}()
	return running{
		newest: h.get,
		pid:    func() (int, error) { return command.Process.Pid, nil },
		stop: func() error {
			if err := command.Process.Kill(); err != nil {
				return fmt.Errorf("end %s: %w", filepath.Base(command.Path), err)
			}
			<-done
			_ = command.Wait() // its error is the kill
			return nil
		},
	}, nil
}

// readNumbers takes one number a line.
func readNumbers(in io.Reader, h *held) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if number, err := strconv.Atoi(lines.Text()); err == nil {
			h.set(number)
		}
	}
}

// readRaw takes pictures in planes of 4:2:0.
func readRaw(in io.Reader, h *held, width, height int) {
	picture := make([]byte, width*height*3/2)
	for {
		if _, err := io.ReadFull(in, picture); err != nil {
			return
		}
		h.set(code.Read(code.Width*width/code.Whole, code.Height*width/code.Whole, func(x, y int) byte { return picture[y*width+x] }))
	}
}
