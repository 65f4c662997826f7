package agent

import (
	"sync"

	"meltwatch/agent/decide"
	"meltwatch/drivers"
)

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

// Refresh implements decide.Refresher. It returns nil for a source that cannot be asked.
func (v *videoSwitch) Refresh() <-chan struct{} {
	if source, ok := v.source().(decide.Refresher); ok {
		return source.Refresh()
	}
	return nil
}

// Cause describes the active source's fault.
func (v *videoSwitch) Cause() string { return v.source().Cause() }
