// Package check tests everything that an agent needs, with the code that the agent
// runs: the meters, the camera, the model and the broker. It prints a line for each.
package check

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"meltwatch/agent/infer"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/inference"
)

// Options configure a check.
type Options struct {
	// Config is the configuration, Path its file, for the first line of the output.
	Config config.Config
	Path   string
	// Offline skips the devices and the broker.
	Offline bool
	// Timeout is how long each device may take to answer.
	Timeout time.Duration
}

// Run tests everything and writes a line for each to out. It reports whether everything
// works.
func Run(ctx context.Context, o Options, out io.Writer) (ok bool) {
	report := lines{out: out}
	report.line("config", "", nil, o.Path)
	manifest, _, err := inference.ReadManifest(o.Config.Model.Path)
	report.line("manifest", "model.path", err, manifest.Name+" "+manifest.Version)
	if err == nil {
		report.line("state", "", settings.CheckThresholds(o.Config.State, manifest.Decision), "thresholds fit the model")
		report.warn("sampling", settings.CheckSampling(o.Config.Meters, &manifest), "the model was tested at the meter's rate")
	}
	k := checker{o.Config, manifest, err == nil, o.Timeout}
	switch {
	case !o.Offline:
		k.devices(ctx, &report)
	case k.hasModel: // the model defines the size of the pictures
		detail, err := k.cameraOffline()
		report.line("camera", "camera", err, detail)
	}
	return !report.failed
}

// lines prints results; it is safe for concurrent use.
type lines struct {
	mu     sync.Mutex
	out    io.Writer
	failed bool
}

func (l *lines) line(what, key string, err error, detail string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mark := "ok   "
	if err != nil {
		mark, detail, l.failed = "FAIL ", strings.TrimPrefix(key+": "+err.Error(), ": "), true
	}
	// A closed terminal is not a fault of the checked device.
	_, _ = fmt.Fprintf(l.out, "%s%-9s %s\n", mark, what, detail)
}

// warn prints a problem that does not stop the agent.
func (l *lines) warn(what string, err error, detail string) {
	if err == nil {
		l.line(what, "", nil, detail)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintf(l.out, "warn %-9s %s\n", what, err)
}

type checker struct {
	config   config.Config
	manifest inference.Manifest
	hasModel bool
	timeout  time.Duration
}

// keyFrameWait is the extra time that a camera may take: no picture can be decoded
// before a key frame, and some cameras send one every twenty seconds.
const keyFrameWait = 10 * time.Second

// devices checks the devices, the broker and the model in parallel.
func (c checker) devices(ctx context.Context, report *lines) {
	cameraCtx, end := context.WithTimeout(ctx, c.timeout+keyFrameWait)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	programs, err := settings.Programs(c.config.Paths.Programs)
	if err != nil {
		report.line("programs", "paths.programs", err, "")
		return
	}
	var running sync.WaitGroup
	running.Go(func() {
		detail, err := c.meters(ctx)
		report.line("meters", "", err, detail) // its errors name the meter
	})
	running.Go(func() {
		detail, err := c.broker(ctx)
		report.line("broker", "mqtt", err, detail)
	})
	if c.hasModel {
		running.Go(func() {
			detail, err := c.model(ctx, programs)
			report.line("model", "model", err, detail)
		})
		running.Go(func() {
			detail, err := c.camera(cameraCtx, programs)
			report.line("camera", "camera", err, detail)
		})
	}
	running.Wait()
}

// answered is the observer of a part under test: it stores the last fault and the first
// OK.
type answered struct {
	ok    chan struct{}
	once  sync.Once
	mu    sync.Mutex
	fault error
}

func (a *answered) Beat()                   {}
func (a *answered) Count(map[string]uint64) {}
func (a *answered) OK()                     { a.once.Do(func() { close(a.ok) }) }
func (a *answered) Fault(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = err
}

// try runs a part until it reports OK, or ctx ends.
func try(ctx context.Context, run func(context.Context, *answered) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &answered{ok: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, a) }()
	select {
	case <-a.ok:
		cancel()
		<-ended //nolint:errcheck // it worked, so a later error does not matter
		return nil
	case err := <-ended:
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.fault != nil {
			return a.fault
		}
		return err
	}
}

func (c checker) model(ctx context.Context, programs string) (string, error) {
	program := filepath.Join(programs, "meltwatch-infer")
	return "loads and answers", try(ctx, func(ctx context.Context, a *answered) error {
		return infer.New(program, c.config.Model.Path, slog.New(slog.DiscardHandler), a).Run(ctx)
	})
}
