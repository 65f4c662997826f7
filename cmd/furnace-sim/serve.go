package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"meltwatch/simulator/furnace"
	"meltwatch/simulator/serve"
)

// serveCommand is furnace-sim serve.
type serveCommand struct {
	Scenario     string        `type:"existingfile" help:"YAML file with the scenario. Without it --life decides."`
	Life         string        `default:"demo" enum:"demo,mixed,normal,shift" help:"demo: ten minutes with one episode; mixed: many; normal: none; shift: one or two in hours."`
	Seed         uint64        `default:"1" help:"Draws set-point, shell and noise, and the scenario of --life."`
	Modbus       string        `default:"127.0.0.1:5020" help:"Address of the meter. Port 0 takes a free one."`
	RTSP         string        `name:"rtsp" default:"127.0.0.1:8554" help:"Address of the camera. Port 0 takes a free one."`
	Unit         uint8         `default:"1" help:"The meter's Modbus unit."`
	WordOrder    string        `default:"ABCD" enum:"ABCD,CDAB,BADC,DCBA" help:"Word order of a float32 in its two registers."`
	VideoDelay   time.Duration `default:"0s" help:"Delay the video, up to 10s."`
	CurrentDelay time.Duration `default:"0s" help:"Delay the registers, up to 10s."`
	MeterFault   string        `default:"none" help:"none, late, truncated, wrong-id, exception, reset, down, silent, stuck or off."`
	CameraFault  string        `default:"none" help:"none, frozen, stale, black or absent."`
	NoCamera     bool          `help:"Serve the meter only; needs no ffmpeg."`
	Control      string        `placeholder:"127.0.0.1:8555" help:"Address of GET /truth and POST /fault?meter=…&camera=…; none by default."`
	ControlOpen  bool          `help:"Let --control listen beyond this machine: every client can read the truth and start faults."`
}

// life is the length of a scenario drawn for --life.
const life = 12 * 60 * 60 // seconds

// Run serves until ctx ends.
func (c serveCommand) Run(ctx context.Context, out io.Writer) error {
	scenario, err := c.scenario()
	if err != nil {
		return err
	}
	if err := c.checkControl(); err != nil {
		return err
	}
	s, err := serve.Start(ctx, serve.Options{
		Scenario: scenario, Seed: c.Seed, ModbusAddr: c.Modbus, RTSPAddr: c.RTSP, WordOrder: c.WordOrder, Unit: c.Unit,
		VideoDelay: c.VideoDelay, CurrentDelay: c.CurrentDelay, NoCamera: c.NoCamera,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	switch {
	case errors.Is(err, context.Canceled): // interrupted while starting
		return nil
	case err != nil:
		return remedy(err)
	}
	return errors.Join(c.attend(ctx, s, out), s.Close())
}

// remedy names the flag that solves the error.
func remedy(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: choose another --modbus or --rtsp, such as 127.0.0.1:0", err)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w by --no-camera", err)
	}
	return err
}

func (c serveCommand) scenario() (furnace.Scenario, error) {
	switch {
	case c.Scenario != "":
		return furnace.ReadScenario(c.Scenario)
	case c.Life == "demo":
		return furnace.Demo(), nil
	}
	return furnace.Draw(furnace.Life(c.Life), life, c.Seed, c.Seed, c.Seed), nil
}

// checkControl refuses a side channel beyond this machine without --control-open.
func (c serveCommand) checkControl() error {
	if c.Control == "" || c.ControlOpen {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Control)
	if err != nil {
		return fmt.Errorf("--control: %w: write host:port", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() {
		return fmt.Errorf("--control: %s is not a loopback address: use 127.0.0.1, or add --control-open", c.Control)
	}
	return nil
}

// attend starts the faults, prints the addresses, and waits for the end.
func (c serveCommand) attend(ctx context.Context, s *serve.Server, out io.Writer) error {
	if err := s.SetMeterFault(serve.MeterFault(c.MeterFault)); err != nil { //nolint:contextcheck // it does not wait
		return fmt.Errorf("--meter-fault: %w", err)
	}
	places := fmt.Sprintln("meter  ", s.MeterURL())
	if !c.NoCamera {
		if err := s.SetCameraFault(serve.CameraFault(c.CameraFault)); err != nil {
			return fmt.Errorf("--camera-fault: %w", err)
		}
		places += fmt.Sprintln("camera ", s.CameraURL())
	}
	if c.Control != "" {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Control)
		if err != nil {
			return fmt.Errorf("--control: %w", err)
		}
		places += fmt.Sprintf("control http://%s/truth\n", listener.Addr())
		defer s.ServeControl(listener)()
	}
	if _, err := io.WriteString(out, places); err != nil {
		return fmt.Errorf("print addresses: %w", err)
	}
	<-s.Done()
	return nil
}
