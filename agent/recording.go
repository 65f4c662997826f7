package agent

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/retry"
)

func recorderSection(c config.Config) any {
	return struct {
		recorder config.Recorder
		folder   string
	}{c.Recorder, settings.RecordingsFolder(c)}
}

// buildRecorder builds the recorder. It works at once: a disk that refuses is tried again,
// and must not undo a change of the configuration.
func (a *Agent) buildRecorder(c config.Config) (*instance, error) {
	if !c.Recorder.Enabled {
		return &instance{activate: func() { a.recorder.Store(nil); a.registry.Remove("recorder") }, missing: worksAtOnce}, nil
	}
	record := a.registry.New(recorderLimit)
	s := settings.Recorder(c)
	folder := settings.RecordingsFolder(c)
	s.Files, s.Wall, s.Synced = a.env.Files(folder), a.stamper.Wall, a.env.Clock.Synced
	s.Free = func() (int64, error) { return freeBytes(folder) }
	if lockable, ok := s.Files.(interface{ Lock() (io.Closer, error) }); ok {
		s.Lock = lockable.Lock
	}
	s.Log, s.Observer, s.Turn = a.log("recorder"), record, a.recording
	r := recorder.New(s)
	return &instance{
		activate: func() { a.recorder.Store(r); a.registry.Put("recorder", record) },
		run: func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return r.Run(ctx) })
			group.Go(func() error { a.recordViews(ctx, r, c.Recorder.ViewWidth); return ctx.Err() })
			return group.Wait()
		},
		missing: worksAtOnce,
	}, nil
}

// freeBytes is what the disk of a folder has left for this process.
func freeBytes(folder string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * s.Bsize, nil //nolint:unconvert // the types differ between architectures
}

// recordedOutput records the events that it passes on.
type recordedOutput struct {
	*delivery.Switch
	a *Agent
}

func (o recordedOutput) Event(e message.Event) {
	o.Switch.Event(e)
	if r := o.a.recorder.Load(); r != nil {
		r.Event(e)
	}
}

// record records a decision.
func (a *Agent) record(s decide.Decision) {
	if r := a.recorder.Load(); r != nil {
		r.Second(recorder.Second{Decided: time.Now(), State: *a.reporter.Newest(), Frame: s.Frame})
	}
}

// recordViews records the whole picture once a second until ctx ends.
func (a *Agent) recordViews(ctx context.Context, r *recorder.Recorder, width int) {
	quality := recorder.NewQuality()
	var last time.Time
	const same = 20 * time.Millisecond // its age is measured anew at each call
	for retry.Sleep(ctx, time.Second) {
		jpeg, taken, err := a.view(ctx, width, quality.Now())
		if err != nil || taken.Sub(last) < same {
			continue // the camera's own status tells why it is silent
		}
		last = taken
		quality.Note(len(jpeg))
		r.View(taken, jpeg)
	}
}

// viewLimit bounds the wait for a picture to look at.
const viewLimit = 2 * time.Second

var errNoCamera = errors.New("camera.enabled is false on this box")

// view returns the newest whole picture as JPEG, and its instant.
func (a *Agent) view(ctx context.Context, width, quality int) (jpeg []byte, taken time.Time, err error) {
	camera, ok := a.video.source().(interface {
		View(ctx context.Context, maxWidth, quality int) ([]byte, time.Time, error)
	})
	if !ok {
		return nil, taken, errNoCamera
	}
	ctx, cancel := context.WithTimeout(ctx, viewLimit)
	defer cancel()
	return camera.View(ctx, width, quality)
}
