package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"meltwatch/config"
	"meltwatch/drivers/modbus/probe"
)

// probeCommand finds out what a device gives, before there is a configuration or beside the
// agent that runs by it.
type probeCommand struct {
	Modbus     probeModbus     `cmd:"" help:"Find the currents in a meter's registers, and print the section of the configuration."`
	Camera     probeCamera     `cmd:"" help:"Find out what a camera offers, save its picture, and print the section of the configuration."`
	Configured probeConfigured `cmd:"" help:"Find out what the meters and the camera of a configuration give, beside the agent that watches them."`
}

type probeModbus struct {
	URL       string        `arg:"" help:"The meter: tcp://HOST:PORT, rtuovertcp://HOST:PORT or rtu:///dev/ttyUSB0."`
	Unit      probe.Span    `default:"1-5" placeholder:"1-5" help:"Unit ids to ask (${default})."`
	Registers probe.Span    `default:"0-60" placeholder:"0-60" help:"Registers to ask, counted from 0: a manual's 40001 is 0 (${default})."`
	Current   float64       `placeholder:"AMPS" help:"The furnace's usual current, which tells its registers from others."`
	Rate      float64       `default:"10" placeholder:"N" help:"Requests a second at most (${default})."`
	Timeout   time.Duration `default:"500ms" help:"How long a request waits for its answer."`
	Within    time.Duration `default:"20s" help:"How long all of it may take."`
	Baud      int           `default:"19200" help:"Of a serial line."`
	Parity    string        `default:"even" help:"Of a serial line: none, even or odd."`
	StopBits  int           `default:"1" help:"Of a serial line."`
	JSON      bool          `name:"json" help:"Print JSON."`
}

// Help is printed below the command's flags.
func (probeModbus) Help() string {
	return `It only reads (functions 1 to 4), one request at a time. Run it while the furnace works.

Examples:
  meltwatch probe modbus tcp://192.0.2.10:502
  meltwatch probe modbus tcp://192.0.2.10:502 --unit 1 --registers 100-160 --current 15000
  meltwatch probe modbus rtu:///dev/ttyUSB0 --baud 9600 --parity none --unit 1-10`
}

// Run probes the device and prints what it found.
func (c probeModbus) Run(ctx context.Context, o outside) error {
	if c.Rate < 0.1 || c.Rate > 1000 {
		return fmt.Errorf("--rate %g is out of bounds: want 0.1 to 1000 requests a second", c.Rate)
	}
	result, err := probe.Run(ctx, probe.Options{
		URL: c.URL, Serial: config.Serial{Baud: c.Baud, DataBits: 8, Parity: c.Parity, StopBits: c.StopBits},
		Units: c.Unit, Registers: c.Registers, Expected: c.Current,
		Timeout: c.Timeout, Pace: time.Duration(float64(time.Second) / c.Rate), Within: c.Within,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(o.out)
		out.SetIndent("", "  ")
		return out.Encode(result)
	}
	return result.Print(o.out)
}
