package agent

import (
	"context"
	"crypto/rand"
	"log/slog"

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

// Env is the world around an agent: everything that is not its configuration. Host fills
// it; a simulation puts its own clock, disk and children in their places.
type Env struct {
	// Log is the agent's, Level what a configuration may change of it.
	Log   *slog.Logger
	Level *slog.LevelVar
	// Version is the agent's own, as published; Instance tells this process from every
	// other; KernelBoot is the kernel's boot id.
	Version, Instance, KernelBoot string
	// Clock stamps records.
	Clock stamp.Clock
	// Files is a folder on the disk.
	Files func(folder string) durable.Files
	// Model is the child that runs the model in folder, and the model's manifest.
	Model func(program, folder string, log *slog.Logger, record *health.Part) (ModelChild, *inference.Manifest, error)
	// Camera is the child that reads the camera. It calls read for the settings of each
	// opening after the first.
	Camera func(program string, first drivers.CameraSettings, read func() (drivers.CameraSettings, error), log *slog.Logger, record *health.Part) CameraChild
	// Outbox is put between the publishers and the outbox; nil for nothing.
	Outbox func(delivery.Outbox) delivery.Outbox
	// Trace is told of each record as it is made, and whether it must be delivered even
	// after an outage; nil for nobody.
	Trace func(class message.Class, payload []byte, kept bool)
}

// ModelChild is a model in a process of its own, which runs within Run.
type ModelChild interface {
	decide.Model
	Run(ctx context.Context) error
	// PID is the process's, 0 while there is none.
	PID() int
}

// CameraChild is a camera read by a process of its own, which runs within Run.
type CameraChild interface {
	videoSource
	Run(ctx context.Context) error
}

// Host is the machine that the program runs on.
func Host(log *slog.Logger, level *slog.LevelVar, version string) (Env, error) {
	boot, err := durable.KernelBootID()
	return Env{
		Log: log, Level: level, Version: version, Instance: rand.Text(), KernelBoot: boot,
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
