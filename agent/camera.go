package agent

import (
	"path/filepath"

	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/drivers"
)

// cameraSection is the camera's own section. The decision alone corrects the delay: the
// stream stays open when it changes.
func cameraSection(c config.Config) any {
	c.Camera.Delay = 0
	return c.Camera
}

// buildCamera builds the client of the camera child. Progress is a live picture.
func (a *Agent) buildCamera(c config.Config) (*instance, error) {
	if !c.Camera.Enabled {
		return &instance{activate: func() { a.video.use(noCamera{}); a.registry.Remove("camera") }, missing: worksAtOnce}, nil
	}
	input := a.live.Load().manifest.Video
	read := func() (drivers.CameraSettings, error) { return settings.Camera(c, input) }
	now, err := read()
	if err != nil {
		return nil, err
	}
	record := a.registry.New(cameraLimit)
	client := a.env.Camera(filepath.Join(a.programs, "meltwatch-camera"), now, read, a.log("camera"), record)
	return &instance{
		activate: func() { a.video.use(client); a.registry.Put("camera", record) },
		run:      client.Run,
		missing: func() error {
			if frame, status := client.Newest(); frame.Number > 0 && status.Live() {
				return nil
			}
			return config.KeyErrorf("camera.url", "no live picture: %s", client.Cause())
		},
	}, nil
}
