package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"meltwatch/agent/camera"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/drivers"
)

// addParts builds the first life of every part; parts.go says what each is built
// from.
func (a *agent) addParts() error {
	return errors.Join(
		a.add("log", func(c config.Config) any { return c.Log.Level }, a.buildLog),
		a.add("mqtt", func(c config.Config) any { return brokerSection{c.MQTT, c.Outbox} }, a.buildBroker),
		a.add("camera", func(c config.Config) any { return c.Camera }, a.buildCamera),
		a.add("decide", decideSection, a.buildDecide),
		a.add("meters", func(c config.Config) any { return c.Meters }, a.buildMeters),
	)
}

func (a *agent) buildLog(c config.Config) (*life, error) {
	return &life{enter: func() { a.level.Set(logLevel(c.Log)) }, missing: worksAtOnce}, nil
}

// buildCamera: progress is a live picture.
func (a *agent) buildCamera(c config.Config) (*life, error) {
	if !c.Camera.Enabled {
		return &life{enter: func() { a.eyes.open(noCamera{}); a.board.Remove("camera") }, missing: worksAtOnce}, nil
	}
	video := a.live.Load().manifest.Video
	read := func() (drivers.CameraSettings, error) { return cameraSettings(c, video) }
	settings, err := read()
	if err != nil {
		return nil, err
	}
	record := a.board.New(cameraLimit)
	client := camera.New(filepath.Join(a.programs, "meltwatch-camera"), settings, read, a.log.With("part", "camera"), record)
	return &life{
		enter: func() { a.eyes.open(client); a.board.Put("camera", record) },
		run:   client.Run,
		missing: func() error {
			if frame, status := client.Newest(); frame.Number > 0 && status.Live() {
				return nil
			}
			return fmt.Errorf("camera.url: no live picture: %s", client.Cause())
		},
	}, nil
}

// eye is the sense of sight, or its lack.
type eye interface {
	Newest() (drivers.Frame, drivers.Status)
	Cause() string
}

// noCamera is the sense of sight of a furnace without a camera.
type noCamera struct{}

func (noCamera) Newest() (drivers.Frame, drivers.Status) { return drivers.Frame{}, drivers.Absent }
func (noCamera) Cause() string                           { return "camera.enabled is false" }

// eyes is whichever eye is open now.
type eyes struct {
	mu  sync.Mutex
	now eye
}

func (e *eyes) open(one eye) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = one
}

func (e *eyes) eye() eye {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

// Newest is decide.Video's.
func (e *eyes) Newest() (drivers.Frame, drivers.Status) { return e.eye().Newest() }

// Cause is the eye's last fault.
func (e *eyes) Cause() string { return e.eye().Cause() }

// decideSection is what the decision is built from, beside the model itself.
func decideSection(c config.Config) any {
	return struct {
		state   config.State
		timeout time.Duration
		period  time.Duration
	}{c.State, c.Model.Timeout, currentPeriod(c.Meters)}
}

// buildDecide: the settings pass to the judge between two seconds; progress is a
// second decided since.
func (a *agent) buildDecide(c config.Config) (*life, error) {
	live := a.live.Load().manifest
	if err := checkThresholds(c.State, live.Decision); err != nil {
		if a.lifetime != nil {
			return nil, err
		}
		// An agent must not stay down for it: the exit is taken at the entry.
		a.log.Warn("thresholds", "err", err)
	}
	if err := checkSampling(c.Meters, live); err != nil {
		a.log.Warn("sampling", "err", err)
	}
	since := time.Now().UnixNano()
	return &life{
		enter: func() {
			if a.lifetime == nil {
				return // the judge was just built from them
			}
			// An error means that the agent ends.
			_ = a.loop.Do(a.lifetime, func() {
				for _, b := range []*brain{a.live.Load(), a.second.Load()} {
					if b != nil {
						b.judge.Adopt(a.judgeSettings(c, b.manifest))
					}
				}
			})
			since = time.Now().UnixNano()
		},
		missing: func() error {
			if a.seconds.Load() > since {
				return nil
			}
			return errNothingYet
		},
	}, nil
}

type brokerSection struct {
	mqtt   config.MQTT
	outbox config.Outbox
}

// buildBroker: progress is a PUBACK. A connection to another broker opens beside
// the one that serves; two to one broker under one client id would throw each
// other out, so there the old one ends first.
func (a *agent) buildBroker(c config.Config) (*life, error) {
	record := &remembers{Part: a.board.New(mqttLimit)}
	door := newGate()
	publisher := delivery.New(c.MQTT, message.Root(c.Site, c.Furnace), a.stamper, door, a.log, record)
	a.voice.dress(publisher)
	return &life{
		beside: a.lifetime != nil && !sameBroker(c.MQTT, a.config.Load().MQTT),
		enter:  func() { a.board.Put("mqtt", record.Part); a.voice.turn(publisher) },
		run:    publisher.Run,
		inherit: func() {
			door.open(a.outboxFor(c))
			// Two URLs may lead to one broker, where the connection that has just
			// ended said that the agent is offline.
			publisher.Retain(message.TopicAvailability, []byte("online"))
		},
		abandon: func() { door.open(delivery.NewMemory(1)) }, // it was given no record
		missing: func() error {
			if publisher.Counters()["acked"] > 0 {
				return nil
			}
			cause := record.last()
			if cause == nil {
				cause = errNothingYet
			}
			return fmt.Errorf("mqtt.broker: nothing acknowledged: %w", cause)
		},
	}, nil
}

// sameBroker reports whether two connections would meet at one broker.
func sameBroker(a, b config.MQTT) bool { return slices.Equal(a.Addresses(), b.Addresses()) }

// remembers is a health record that can be asked for the last fault.
type remembers struct {
	*health.Part
	mu    sync.Mutex
	fault error
}

// Fault notes a fault.
func (r *remembers) Fault(err error) {
	r.Part.Fault(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = err
}

func (r *remembers) last() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

func logLevel(c config.Log) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return slog.LevelInfo // the configuration was checked: this cannot be
	}
	return level
}
