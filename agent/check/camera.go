package check

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"

	"golang.org/x/sys/unix"

	"meltwatch/agent/camera"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/drivers"
)

// tryCamera checks the settings, and without --offline the camera.
func tryCamera(ctx context.Context, k *checker) outcome {
	if k.options.Offline {
		detail, err := k.cameraOffline()
		return from(detail, err)
	}
	programs, err := settings.Programs(k.config.Paths.Programs)
	if err != nil {
		return failure(err)
	}
	detail, err := k.camera(ctx, programs)
	return from(detail, err)
}

// camera opens the stream as the agent does, and waits for a live picture. It reports a
// refusal at once.
func (k *checker) camera(ctx context.Context, programs string) (string, error) {
	if !k.config.Camera.Enabled {
		return "not enabled", nil
	}
	read := func() (drivers.CameraSettings, error) { return settings.Camera(k.config, k.manifest.Video) }
	settings, err := read()
	if err != nil {
		return "", err
	}
	if err := reach(ctx, settings); err != nil {
		return "", err
	}
	program := filepath.Join(programs, cameraProgram)
	var size string
	err = try(ctx, func(ctx context.Context, a *answered) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		client := camera.New(program, settings, read, slog.New(slog.DiscardHandler), &impatient{a, cancel})
		err := client.Run(ctx)
		if width, height := client.PictureSize(); width > 0 {
			size = fmt.Sprintf(", %d×%d pixels", width, height)
		}
		return err
	})
	return k.config.Camera.URL + size, err
}

// reach connects to the camera and disconnects. The child would go on trying where a
// person must act: an unknown host, a missing route. A refused connection is the child's
// to report.
func reach(ctx context.Context, s drivers.CameraSettings) error {
	u, err := url.Parse(s.URL)
	if err != nil {
		return config.KeyErrorf("camera.url", "invalid URL; write rtsp://host:554/path")
	}
	dialer := net.Dialer{Timeout: s.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), drivers.PortOf(u)))
	var late net.Error
	switch {
	case err == nil:
		return conn.Close()
	case errors.Is(err, unix.ECONNREFUSED):
		return nil
	case errors.As(err, &late) && late.Timeout():
		return config.KeyErrorf("camera.url", "camera at %s does not answer within %v (camera.timeout): check cable, address and firewall", u.Hostname(), s.Timeout)
	default:
		return config.KeyErrorf("camera.url", "reach camera: %w", err)
	}
}

// cameraOffline checks the camera's settings without the camera, for faults that
// prevent the agent's start.
func (k *checker) cameraOffline() (string, error) {
	if !k.config.Camera.Enabled {
		return "not enabled", nil
	}
	_, err := settings.Camera(k.config, k.manifest.Video)
	return "not tried", err
}

// impatient ends the check when the camera has refused: another attempt would fail too,
// and may lock an account.
type impatient struct {
	*answered
	end context.CancelFunc
}

func (i *impatient) Fault(err error) {
	if errors.As(err, &camera.Refusal{}) {
		i.answered.Fault(err)
		i.end()
		return
	}
	i.answered.Fault(err)
}
