package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/config/credential"
	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/probe"
)

type probeCamera struct {
	URL          string        `arg:"" help:"The camera: rtsp://HOST:554/PATH, or rtsps:// for TLS; without user and password."`
	Username     string        `help:"Of the camera's log-in."`
	PasswordFile string        `placeholder:"FILE" predictor:"file" help:"File with its password: a path, or the name of a systemd credential."`
	CAFile       string        `name:"ca-file" placeholder:"FILE" predictor:"file" help:"PEM file that verifies an rtsps:// camera; the system's roots by default."`
	Transport    string        `enum:"auto,tcp,udp" default:"auto" placeholder:"auto" help:"Try this transport alone: tcp or udp; auto tries both."`
	Timeout      time.Duration `default:"5s" help:"How long opening the stream may take, and a pause without data (${default})."`
	Crop         crop          `placeholder:"X,Y,W,H" help:"Draw this crop into the picture, in pixels of the camera's picture, and check that it fits."`
	Save         string        `default:"camera.png" placeholder:"FILE" predictor:"file" help:"Where to save the whole picture as PNG (${default}); empty saves none."`
	State        string        `default:"/var/lib/meltwatch" placeholder:"DIR" predictor:"file" help:"The agent's paths.state: its camera-logins.json counts refused log-ins (${default})."`
	Programs     string        `placeholder:"DIR" predictor:"file" help:"Folder of meltwatch-camera; by default where the package puts it, beside this program."`
	Within       time.Duration `default:"28s" help:"How long all of it may take: 10s to 30s (${default})."`
	JSON         bool          `name:"json" help:"Print JSON."`
}

// Help is printed below the command's flags.
func (probeCamera) Help() string {
	return `It opens the stream as the agent does, over TCP and over UDP, and prints the section camera of the configuration. A
refused log-in is not repeated, because many cameras lock an account after five; each run with a wrong password counts as
one.

Exit status: 0 if the agent can use the camera, 1 if not (a line FAIL says what to set), 2 if the command line is wrong.

Examples:
  meltwatch probe camera rtsp://192.0.2.11:554/stream
  meltwatch probe camera rtsp://192.0.2.11/stream --username viewer --password-file /etc/meltwatch/camera.password
  meltwatch probe camera rtsp://192.0.2.11/stream --crop 384,176,512,512 --save shell.png`
}

// crop is a rectangle as the flag gives it.
type crop config.Crop

// UnmarshalText reads X,Y,W,H.
func (c *crop) UnmarshalText(text []byte) error {
	var rest string
	n, _ := fmt.Sscanf(string(text)+" ", "%d,%d,%d,%d%s", &c.X, &c.Y, &c.Width, &c.Height, &rest)
	if n != 4 || c.X < 0 || c.Y < 0 || c.Width <= 0 || c.Height <= 0 {
		return fmt.Errorf("%q is not a crop: give X,Y,W,H in pixels, such as 384,176,512,512", text)
	}
	return nil
}

var errProbe = errors.New("the agent cannot use the camera as it is; see above")

// Run probes the camera and prints what it found.
func (c probeCamera) Run(ctx context.Context, o outside) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	result, err := probe.Run(ctx, options)
	if err != nil {
		return err
	}
	var saveErr error
	if c.Save != "" && result.Image != nil {
		if saveErr = save(c.Save, result, options.Settings.Crop); saveErr == nil {
			result.File = c.Save
		}
	}
	if err := errors.Join(c.print(o, result), saveErr); err != nil {
		return err
	}
	if !result.Usable() {
		return errProbe
	}
	return nil
}

func (c probeCamera) options() (probe.Options, error) {
	programs, err := settings.Programs(c.Programs)
	if err != nil {
		return probe.Options{}, err
	}
	defaults := config.Default().Camera
	options := probe.Options{
		PasswordFile: c.PasswordFile, CAFile: c.CAFile, Within: c.Within,
		Program: filepath.Join(programs, "meltwatch-camera"),
		Settings: drivers.CameraSettings{
			URL: c.URL, Username: c.Username, Transport: c.Transport, Decode: drivers.DecodeAuto, Timeout: c.Timeout, Crop: drivers.Rect(c.Crop),
			Logins:     filepath.Join(c.State, "camera-logins.json"),
			StaleAfter: defaults.StaleAfter, FrozenAfter: defaults.FrozenAfter, BlackAfter: defaults.BlackAfter,
		},
	}
	for _, file := range []struct {
		flag, name string
		into       *string
	}{{"--password-file", c.PasswordFile, &options.Settings.Password}, {"--ca-file", c.CAFile, &options.Settings.Authorities}} {
		if file.name == "" {
			continue
		}
		if *file.into, err = credential.Read(file.name); err != nil {
			return options, fmt.Errorf("%s: %w", file.flag, err)
		}
	}
	return options, nil
}

func save(path string, r probe.Result, crop drivers.Rect) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	if err := errors.Join(probe.WritePNG(file, r.Image, crop), file.Close()); err != nil {
		return fmt.Errorf("--save %s: %w", path, err)
	}
	return nil
}

func (c probeCamera) print(o outside, r probe.Result) error {
	if c.JSON {
		out := json.NewEncoder(o.out)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		return out.Encode(r)
	}
	return r.Print(o.out)
}
