package check

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"meltwatch/agent/camera"
	"meltwatch/agent/settings"
	"meltwatch/drivers"
)

// camera opens the stream as the agent does, and waits for a live picture. It reports a
// refusal at once.
func (c checker) camera(ctx context.Context, programs string) (string, error) {
	if !c.config.Camera.Enabled {
		return "not enabled", nil
	}
	read := func() (drivers.CameraSettings, error) { return settings.Camera(c.config, c.manifest.Video) }
	settings, err := read()
	if err != nil {
		return "", err
	}
	program := filepath.Join(programs, "meltwatch-camera")
	var size string
	err = try(ctx, func(ctx context.Context, a *answered) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		client := camera.New(program, settings, read, slog.New(slog.DiscardHandler), &refusalObserver{a, cancel})
		err := client.Run(ctx)
		if width, height := client.PictureSize(); width > 0 {
			size = fmt.Sprintf(", %d×%d pixels", width, height)
		}
		return err
	})
	return c.config.Camera.URL + size, err
}

// cameraOffline checks the camera's settings without the camera, for faults that
// prevent the agent's start.
func (c checker) cameraOffline() (string, error) {
	if !c.config.Camera.Enabled {
		return "not enabled", nil
	}
	_, err := settings.Camera(c.config, c.manifest.Video)
	return "not tried", err
}

// refusalObserver ends the check when the camera has refused: another attempt would fail too,
// and may lock an account.
type refusalObserver struct {
	*answered
	end context.CancelFunc
}

func (i *refusalObserver) Fault(err error) {
	if errors.As(err, &camera.Refusal{}) {
		i.answered.Fault(err)
		i.end()
		return
	}
	i.answered.Fault(err)
}
