package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/agent/supervisor"
	"meltwatch/config"
	"meltwatch/config/credential"
	"meltwatch/drivers"
	"meltwatch/inference"
)

// How long a part's loop may take to come round before the watchdog counts it
// as stuck. Each is well above the longest bounded wait inside.
const (
	meterLimit  = 45 * time.Second
	cameraLimit = 45 * time.Second // a child's start is given up after 15 s, restarts wait up to 8 s
	modelLimit  = 45 * time.Second
	decideLimit = 10 * time.Second
	mqttLimit   = 45 * time.Second
	// A disk may hang indefinitely, and no restart would cure it: the watch goes on
	// from memory meanwhile, and the outbox never counts as stuck.
	outboxLimit = time.Duration(math.MaxInt64)
)

// agent is the watch of one furnace.
type agent struct {
	config   atomic.Pointer[config.Config] // what runs; its manager changes it
	log      *slog.Logger
	level    *slog.LevelVar
	board    *health.Board
	stamper  *stamp.Stamper
	programs string

	eyes     *eyes
	live     atomic.Pointer[brain] // the model that decides
	second   atomic.Pointer[brain] // one that was loaded beside it, or nil
	loop     *decide.Loop
	seconds  atomic.Int64 // the end of the last decided second, Unix nanoseconds
	voice    *voice
	reporter *reporter

	outbox *outbox.Log // nil where records wait in memory
	// outboxLock is held for as long as the outbox is open.
	outboxLock io.Closer
	keeps      delivery.Outbox // the outbox that keepsBy asked for
	keepsBy    any

	// changing is held while lives end and begin.
	changing sync.Mutex
	parts    []*part
	services []service
	// lifetime and running are those of run.
	lifetime context.Context //nolint:containedctx // parts begin and end within it
	running  *errgroup.Group
}

// service is something that runs for as long as the agent does.
type service struct {
	name string
	run  func(context.Context) error
}

// newAgent builds every part and starts none. level is the log's; model is the
// folder of the model that decides, which need not be the configuration's.
func newAgent(c config.Config, model string, log *slog.Logger, level *slog.LevelVar) (*agent, error) {
	programs, err := programFolder(c.Paths.Programs)
	if err != nil {
		return nil, err
	}
	stamper, err := stamp.New(c.Paths.State)
	if err != nil {
		return nil, err
	}
	a := &agent{
		log: log, level: level, board: health.NewBoard(), stamper: stamper, programs: programs,
		eyes: &eyes{}, voice: newVoice(),
	}
	a.config.Store(&c)
	live, err := a.newBrain(model)
	if err != nil {
		return nil, fmt.Errorf("model.path: %w", err)
	}
	a.live.Store(live)
	a.board.Put("model", live.record.Part)
	a.reporter = newReporter(a, live.judge.Machine(), live.manifest.Video, stamper)
	a.loop = decide.NewLoop(live.judge, a.eyes, a.decided)
	a.services = []service{{"decide", a.loop.Run}}
	return a, a.addParts()
}

func (a *agent) judgeSettings(c config.Config, m *inference.Manifest) decide.Settings {
	return decide.Settings{
		Manifest: m,
		Params:   params(c.State, m.Decision),
		Rule:     rule(c.State, m.Rule),
		Timeout:  c.Model.Timeout,
		Period:   currentPeriod(c.Meters),
	}
}

// decided takes a decided second, or one whose senses changed since.
func (a *agent) decided(s decide.Second) {
	a.seconds.Store(s.End.UnixNano())
	a.reporter.second(s)
}

// run runs everything until ctx ends. It returns an error if systemd cannot be
// notified or the outbox fails at the end.
func (a *agent) run(ctx context.Context) error {
	a.reporter.resume()
	group, ctx := errgroup.WithContext(ctx)
	a.running, a.lifetime = group, ctx
	for _, s := range a.services {
		group.Go(func() error { supervisor.Run(ctx, s.name, a.log, s.run); return nil })
	}
	a.startBrain(a.live.Load()) //nolint:contextcheck // within a.lifetime, which is ctx
	for _, p := range a.parts {
		a.start(p.name, p.now) //nolint:contextcheck // within a.lifetime, which is ctx
	}
	group.Go(func() error { return health.Notify(ctx, a.board, a.log) })
	group.Go(func() error { a.reporter.healthLoop(ctx); return nil })
	return errors.Join(group.Wait(), a.closeOutbox())
}

// programFolder is where the children's programs are: beside this one unless the
// configuration says otherwise.
func programFolder(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the folder of the programs: %w; set paths.programs", err)
	}
	return filepath.Dir(self), nil
}

// cameraSettings are the settings for the camera's child. With an error the agent
// refuses to run.
func cameraSettings(all config.Config, video inference.VideoSpec) (drivers.CameraSettings, error) {
	c := all.Camera
	secrets := map[string]string{"password_file": c.PasswordFile, "ca_file": c.CAFile}
	for key, file := range secrets {
		if file == "" {
			continue
		}
		var err error
		if secrets[key], err = credential.Read(file); err != nil {
			return drivers.CameraSettings{}, fmt.Errorf("camera.%s: %w", key, err)
		}
	}
	settings := drivers.CameraSettings{
		URL: c.URL, Username: c.Username, Password: secrets["password_file"], Timeout: c.Timeout,
		Logins: filepath.Join(all.Paths.State, "camera-logins.json"), Authorities: secrets["ca_file"], Transport: c.Transport,
		Crop:  drivers.Rect(c.Crop),
		Width: video.Width, Height: video.Height, Resize: video.Resize,
		StaleAfter: c.StaleAfter, FrozenAfter: c.FrozenAfter, BlackAfter: c.BlackAfter,
	}
	return settings, settings.Check()
}
