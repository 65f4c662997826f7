// Package serve makes a simulated furnace look like a real one: a Modbus TCP meter with
// the register map of the plant's PLC, and a camera that streams H.264 over RTSP, both
// exactly on the clock. The truth about the furnace and the switches for faults of either
// sense are available to the caller alone.
//
// The meter serves holding and input registers (see pack); their values change
// each furnace.Period. The camera serves scene.Width × scene.Height at 25 frames
// a second, encoded by ffmpeg. Gaps and frozen values that the scenario asks for
// look like the faults MeterSilent, MeterStuck, CameraStale and CameraFrozen.
//
// After its end the scenario's last state continues: a finished ramp stays abnormal,
// start-up and recovery lead to normal work, a trip leaves the furnace off.
//
// Two things may be lost: frames that the machine cannot draw in time, which are counted
// and leave a gap in the time stamps; and, as usual in RTSP, packets for slow viewers.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

// Options say what to serve. The zero Options serve the demo on free ports of
// the loopback interface.
type Options struct {
	// Scenario is the sequence of events; without segments it is furnace.Demo().
	Scenario furnace.Scenario
	// Seed draws the batch: set-point, texture and pose of the shell, and all noise.
	Seed uint64
	// ModbusAddr and RTSPAddr are host:port to listen on; empty means a free
	// port of 127.0.0.1.
	ModbusAddr, RTSPAddr string
	// WordOrder is one of WordOrders; empty means ABCD.
	WordOrder string
	// Unit is the meter's Modbus unit; 0 means 1.
	Unit uint8
	// VideoDelay and CurrentDelay hold one sense's pipeline back, by up to 10 s.
	VideoDelay, CurrentDelay time.Duration
	// NoCamera leaves the camera out, and with it the need for ffmpeg.
	NoCamera bool
	// Log takes changes of state; nil discards them.
	Log *slog.Logger
}

// Truth is the furnace's hidden state, for scoring.
type Truth struct {
	furnace.Truth
	// Start is when the scenario began. Onset counts from there.
	Start time.Time
	// Elapsed is the time since Start.
	Elapsed time.Duration
	// VideoDelay and CurrentDelay are the delays of the two senses.
	VideoDelay, CurrentDelay time.Duration
	// MeterFault and CameraFault are the faults in force.
	MeterFault  MeterFault
	CameraFault CameraFault
	// SkippedFrames counts the frames that a busy machine could not draw in time.
	SkippedFrames uint64
}

// Server is a furnace that is being served. Its methods are safe for concurrent
// use.
type Server struct {
	options Options
	furnace *clockedFurnace
	plc     *plc
	proxy   *proxy
	camera  *camera // nil when left out
	cancel  context.CancelFunc
	done    chan struct{} // closed when everything has stopped
	failed  error         // why, read after done

	mu          sync.Mutex // held while a fault is switched
	meterFault  MeterFault
	cameraFault CameraFault
}

// Start serves until ctx ends or Close is called. It returns once the meter can be polled
// and the camera can be watched.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	f := o.build()
	s := &Server{
		options: o, furnace: newClockedFurnace(f, time.Now()), done: make(chan struct{}),
		meterFault: MeterFine, cameraFault: CameraFine,
	}
	s.plc = &plc{furnace: s.furnace, delay: o.CurrentDelay, order: o.WordOrder, unit: o.Unit}
	registers, at, err := startPLC(s.plc, o.Log)
	if err != nil {
		return nil, err
	}
	s.proxy, err = startProxy(o.ModbusAddr, at, func() bool { return s.furnace.at(o.CurrentDelay).Faults.MeterGap })
	if err != nil {
		return nil, errors.Join(err, registers.Stop())
	}
	if !o.NoCamera {
		s.camera = newCamera(s.furnace, o.VideoDelay, scene.New(f.Batch()), newRTSPServer(o.RTSPAddr), o.Log)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		defer s.cancel()
		err := s.film(ctx)
		s.proxy.end()
		s.failed = errors.Join(err, registers.Stop())
	}()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// complete fills in defaults and returns an error for each invalid option.
func (o Options) complete() (Options, error) {
	if len(o.Scenario.Segments) == 0 {
		o.Scenario = furnace.Demo()
	}
	o.ModbusAddr, o.RTSPAddr = cmp.Or(o.ModbusAddr, "127.0.0.1:0"), cmp.Or(o.RTSPAddr, "127.0.0.1:0")
	o.WordOrder, o.Unit = cmp.Or(o.WordOrder, "ABCD"), cmp.Or(o.Unit, 1)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	faults := []error{o.Scenario.Validate(), checkOrder(o.WordOrder)}
	for _, d := range []struct {
		name  string
		delay time.Duration
	}{{"video delay", o.VideoDelay}, {"current delay", o.CurrentDelay}} {
		if d.delay < 0 || d.delay > longestDelay {
			faults = append(faults, fmt.Errorf("%s: %v is not within 0 to %v", d.name, d.delay, longestDelay))
		}
	}
	return o, errors.Join(faults...)
}

// build sets up the furnace. Package dataset writes the same one for a scenario and seed.
func (o Options) build() *furnace.Furnace {
	return furnace.New(endless(o.Scenario), furnace.NewBatch(o.Seed, o.Seed), o.Seed, o.Seed)
}

// film runs the camera, if there is one, until ctx ends.
func (s *Server) film(ctx context.Context) error {
	if s.camera == nil {
		<-ctx.Done()
		return nil
	}
	defer s.camera.server.end()
	return s.camera.run(ctx)
}

// ready waits until the camera can be watched.
func (s *Server) ready(ctx context.Context) error {
	if s.camera == nil {
		return nil
	}
	select {
	case <-s.camera.server.ready:
		return nil
	case <-s.done:
		return cmp.Or(s.failed, ctx.Err())
	}
}

// Close stops serving and waits for every goroutine and for ffmpeg.
func (s *Server) Close() error {
	s.cancel()
	<-s.done
	return s.failed
}

// Done is closed when the server has stopped.
func (s *Server) Done() <-chan struct{} { return s.done }

// MeterURL returns the meter's address: tcp://host:port.
func (s *Server) MeterURL() string { return "tcp://" + s.proxy.address }

// CameraURL returns the camera's address, rtsp://host:port/furnace; empty without a
// camera.
func (s *Server) CameraURL() string {
	if s.camera == nil {
		return ""
	}
	return s.camera.server.url()
}

// Truth is the furnace's true state now.
func (s *Server) Truth() Truth {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Truth{
		Truth: s.furnace.at(0).Truth, Start: s.furnace.start, Elapsed: time.Since(s.furnace.start),
		VideoDelay: s.options.VideoDelay, CurrentDelay: s.options.CurrentDelay,
		MeterFault: s.meterFault, CameraFault: s.cameraFault,
	}
	if s.camera != nil {
		t.SkippedFrames = s.camera.skipped.Load()
	}
	return t
}

// SetMeterFault starts a fault of the meter; MeterFine ends it. An error is possible only
// at the end of MeterDown, if another process has taken the port.
func (s *Server) SetMeterFault(f MeterFault) error {
	if err := known("meter", f, MeterFaults()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meterFault = f
	s.plc.setFault(f)
	return s.proxy.setFault(f)
}

// SetCameraFault starts a fault of the camera; CameraFine ends it. An error is possible
// only at the end of CameraAbsent, if another process has taken the port.
func (s *Server) SetCameraFault(f CameraFault) error {
	if err := known("camera", f, CameraFaults()); err != nil {
		return err
	}
	if s.camera == nil {
		return errors.New("camera fault: the furnace is served without camera")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cameraFault = f
	return s.camera.setFault(f)
}
