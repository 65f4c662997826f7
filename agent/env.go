package agent

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"

	"meltwatch/agent/camera"
	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/infer"
	"meltwatch/agent/message"
	"meltwatch/agent/stamp"
	"meltwatch/drivers"
	"meltwatch/durable"
	"meltwatch/inference"
)

// Env is the environment of an agent: everything that is not its configuration. Host
// returns the real one; a simulation has its own clock, disk and children.
type Env struct {
	// Log is the agent's log; Level is its level, which a configuration may change.
	Log   *slog.Logger
	Level *slog.LevelVar
	// Version is the agent's published version; Instance is unique to this process;
	// KernelBoot is the kernel's boot id.
	Version, Instance, KernelBoot string
	// Program is the path of the program meltwatch, which compares models and probes devices in
	// a process of its own; without it neither is done.
	Program string
	// Clock stamps records.
	Clock stamp.Clock
	// Files opens a folder on the disk.
	Files func(folder string) durable.Files
	// Model returns the child that runs the model in folder, and the model's manifest.
	Model func(program, folder string, log *slog.Logger, record *health.Part) (ModelChild, *inference.Manifest, error)
	// Camera returns the child that reads the camera. first are its settings; it calls
	// read to load them again.
	Camera func(program string, first drivers.CameraSettings, read func() (drivers.CameraSettings, error), log *slog.Logger, record *health.Part) CameraChild
	// Outbox wraps the outbox, for tests; it may be nil.
	Outbox func(delivery.Outbox) delivery.Outbox
	// Trace is called with each record as it is made; kept reports whether the record
	// is also delivered after an outage. It may be nil.
	Trace func(class message.Class, payload []byte, kept bool)
}

// ModelChild is a model in a child process, which Run starts and stops.
type ModelChild interface {
	decide.Model
	Run(ctx context.Context) error
	// PID is the process id, 0 without a process.
	PID() int
}

// CameraChild is a camera read by a child process, which Run starts and stops.
type CameraChild interface {
	videoSource
	Run(ctx context.Context) error
}

// Host returns the environment on the real machine.
func Host(log *slog.Logger, level *slog.LevelVar, version string) (Env, error) {
	boot, err := durable.KernelBootID()
	program, _ := os.Executable() //nolint:errcheck // without it no models are compared
	return Env{
		Log: log, Level: level, Version: version, Instance: rand.Text(), KernelBoot: boot, Program: program,
		Clock:  stamp.KernelClock{},
		Files:  func(folder string) durable.Files { return durable.Folder(folder) },
		Model:  startsModel,
		Camera: startsCamera,
	}, err
}

func startsModel(program, folder string, log *slog.Logger, record *health.Part) (ModelChild, *inference.Manifest, error) {
	manifest, _, err := inference.ReadManifest(folder)
	return infer.New(program, folder, log, record), &manifest, err
}

func startsCamera(program string, first drivers.CameraSettings, read func() (drivers.CameraSettings, error), log *slog.Logger, record *health.Part) CameraChild {
	return camera.New(program, first, read, log, record)
}
