package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"meltwatch/agent/camera"
)

func (k checker) camera(ctx context.Context, programs string) (string, error) {
	if !k.settings.Camera.Enabled {
		return "not enabled", nil
	}
	settings, err := cameraSettings(k.settings.Camera, k.manifest.Video)
	if err != nil {
		return "", err
	}
	program := filepath.Join(programs, "meltwatch-camera")
	return k.settings.Camera.URL, try(ctx, func(ctx context.Context, a *answered) error {
		return camera.New(program, settings, slog.New(slog.DiscardHandler), a).Run(ctx)
	})
}
