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
	"time"

	"golang.org/x/sync/errgroup"

	"meltwatch/agent/camera"
	"meltwatch/agent/decide"
	"meltwatch/agent/health"
	"meltwatch/agent/infer"
	"meltwatch/agent/mqtt"
	"meltwatch/agent/outbox"
	"meltwatch/agent/state"
	"meltwatch/agent/supervisor"
	"meltwatch/config"
	"meltwatch/drivers"
	"meltwatch/drivers/modbus"
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
	// A disk may hang for ever, and no restart would heal it: the watch goes on
	// from memory meanwhile, and the outbox never counts as stuck.
	outboxLimit = time.Duration(math.MaxInt64)
)

// agent is the parts of one furnace's watch.
type agent struct {
	config config.Config
	log    *slog.Logger
	board  *health.Board

	meters    *modbus.Source
	camera    eye
	model     *infer.Client
	loop      *decide.Loop
	publisher *mqtt.Publisher
	reporter  *reporter
	outbox    *outbox.Log // nil where records wait in memory
	// outboxLock is held for as long as the outbox is open.
	outboxLock io.Closer
	parts      []part
}

// part is something that runs for as long as the agent does.
type part struct {
	name string
	run  func(context.Context) error
}

// eye is the sense of sight, or its lack.
type eye interface {
	decide.Video
	Cause() string
}

// noCamera is the sense of sight of a furnace without a camera.
type noCamera struct{}

func (noCamera) Newest() (drivers.Frame, drivers.Status) { return drivers.Frame{}, drivers.Absent }
func (noCamera) Cause() string                           { return "camera.enabled is false" }

// newAgent builds every part and starts none.
func newAgent(c config.Config, log *slog.Logger) (*agent, error) {
	manifest, _, err := inference.ReadManifest(c.Model.Path)
	if err != nil {
		return nil, fmt.Errorf("model.path: %w", err)
	}
	programs, err := programFolder(c.Paths.Programs)
	if err != nil {
		return nil, err
	}
	stamper, err := mqtt.NewStamper(c.Paths.State)
	if err != nil {
		return nil, err
	}
	a := &agent{config: c, log: log, board: health.NewBoard()}
	a.publisher = mqtt.New(c.MQTT, mqtt.Root(c.Site, c.Furnace), stamper, a.openOutbox(), log, a.board.Add("mqtt", mqttLimit))
	a.model = infer.New(filepath.Join(programs, "meltwatch-infer"), c.Model.Path, log.With("part", "model"), a.board.Add("model", modelLimit))
	if err := a.addCamera(programs, manifest.Video); err != nil {
		return nil, err
	}
	a.decideBy(&manifest, stamper)
	if err := a.addMeters(stamper); err != nil {
		return nil, err
	}
	a.parts = append(a.parts,
		part{"model", a.model.Run},
		part{"decide", a.loop.Run},
		part{"mqtt", a.publisher.Run},
	)
	return a, nil
}

func (a *agent) decideBy(manifest *inference.Manifest, stamper *mqtt.Stamper) {
	judge := decide.NewJudge(decide.Settings{
		Manifest: manifest,
		Params:   params(a.config.State, manifest.Decision),
		Rule:     rule(a.config.State, manifest.Rule),
		Timeout:  a.config.Model.Timeout,
		Period:   currentPeriod(a.config.Meters),
	}, a.model)
	a.reporter = newReporter(a, judge.Machine(), manifest.Video, stamper)
	a.loop = decide.NewLoop(judge, a.camera, a.reporter.second)
}

func (a *agent) addCamera(programs string, video inference.VideoSpec) error {
	if !a.config.Camera.Enabled {
		a.camera = noCamera{}
		return nil
	}
	settings, err := cameraSettings(a.config.Camera, video)
	if err != nil {
		return err
	}
	client := camera.New(filepath.Join(programs, "meltwatch-camera"), settings, a.log.With("part", "camera"), a.board.Add("camera", cameraLimit))
	a.camera = client
	a.parts = append(a.parts, part{"camera", client.Run})
	return nil
}

func (a *agent) addMeters(stamper *mqtt.Stamper) error {
	record := a.board.Add("meters", meterLimit)
	source, err := modbus.New(a.config.Meters, a.log.With("part", "meters"), func(r modbus.Report) { note(record, r) })
	if err != nil {
		return err
	}
	a.meters = source
	a.parts = append(a.parts, part{"meters", func(ctx context.Context) error {
		return source.Run(ctx, func(s drivers.Sample) {
			a.publisher.Sample(sample(s, stamper))
			a.loop.Offer(s)
		})
	}})
	return nil
}

// note turns a poll's report into a line on the health board. A failed poll is
// a loop that came round all the same.
func note(record *health.Part, r modbus.Report) {
	record.Beat()
	record.Count(map[string]uint64{
		"polls": r.Counters.Polls, "errors": r.Counters.Errors, "missed": r.Counters.Missed, "redials": r.Counters.Redials,
	})
	if r.Err != nil {
		record.Fault(fmt.Errorf("meters.%s: %w", r.Meter, r.Err))
		return
	}
	record.OK()
}

// run runs every part until ctx ends, or one fails for good.
func (a *agent) run(ctx context.Context) error {
	a.reporter.resume()
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range a.parts {
		group.Go(func() error { return supervisor.Run(ctx, p.name, a.log, p.run) })
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

func cameraSettings(c config.Camera, video inference.VideoSpec) (drivers.CameraSettings, error) {
	password := ""
	if c.PasswordFile != "" {
		var err error
		if password, err = mqtt.Secret(c.PasswordFile); err != nil {
			return drivers.CameraSettings{}, fmt.Errorf("camera.password_file: %w", err)
		}
	}
	return drivers.CameraSettings{
		URL: c.URL, Username: c.Username, Password: password, Timeout: c.Timeout,
		Crop:  drivers.Rect(c.Crop),
		Width: video.Width, Height: video.Height, Resize: video.Resize,
		StaleAfter: c.StaleAfter, FrozenAfter: c.FrozenAfter, BlackAfter: c.BlackAfter,
	}, nil
}

// params are the manifest's, where the configuration does not override them.
func params(c config.State, d inference.Decision) state.Params {
	return state.Params{
		MeanSeconds:   either(c.MeanSeconds, d.MeanSeconds),
		Enter:         either(c.Enter, d.Enter),
		Exit:          either(c.Exit, d.Exit),
		HoldSeconds:   either(c.HoldSeconds, d.HoldSeconds),
		NormalCurrent: c.NormalCurrent,
	}
}

func rule(c config.State, r inference.Rule) inference.Rule {
	return inference.Rule{CV120: either(c.CV120, r.CV120), CV45: either(c.CV45, r.CV45)}
}

func either[T comparable](configured, instead T) T {
	var unset T
	if configured == unset {
		return instead
	}
	return configured
}

// currentPeriod is the period of the meter that carries the currents.
func currentPeriod(meters map[string]config.Meter) time.Duration {
	for _, m := range meters {
		if _, ok := m.Fields[config.FieldCurrentA]; ok {
			return m.Period
		}
	}
	return 0 // the configuration was checked: there is one
}

type runCommand struct{ configFlag }

// Run watches the furnace.
func (r runCommand) Run(o outside) error {
	c, err := config.Read(r.Config)
	if err != nil {
		return err
	}
	log := newLog(o.errOut, c.Log)
	a, err := newAgent(c, log)
	if err != nil {
		return err
	}
	log.Info("watching", "site", c.Site, "furnace", c.Furnace, "version", version)
	err = a.run(o.ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	log.Info("stopped")
	return err
}
