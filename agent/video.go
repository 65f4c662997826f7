package agent

import (
	"path/filepath"
	"sync"

	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/drivers"
)

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

// videoSource supplies frames, or the cause why there are none.
type videoSource interface {
	Newest() (drivers.Frame, drivers.Status)
	Cause() string
}

// noCamera is the video source of a furnace without a camera.
type noCamera struct{}

func (noCamera) Newest() (drivers.Frame, drivers.Status) { return drivers.Frame{}, drivers.Absent }
func (noCamera) Cause() string                           { return "camera.enabled is false" }

// videoSwitch passes calls on to the active source.
type videoSwitch struct {
	mu     sync.Mutex
	active videoSource
}

func (v *videoSwitch) use(source videoSource) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.active = source
}

func (v *videoSwitch) source() videoSource {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.active
}

// Newest implements decide.Video.
func (v *videoSwitch) Newest() (drivers.Frame, drivers.Status) { return v.source().Newest() }

// Cause describes the active source's fault.
func (v *videoSwitch) Cause() string { return v.source().Cause() }
