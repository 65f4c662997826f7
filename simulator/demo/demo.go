// Package demo runs the main job on one machine, every part of it real: the simulated
// furnace behind a Modbus and an RTSP server, an MQTT broker, the agent with its
// two children, and a subscriber that shows what the agent publishes.
//
// The melt is scripted. The view shows only what arrives over MQTT; the simulator's truth
// is read for the summary. The demo succeeds if the first verdict came within 60 s, the
// onset was found within 100 s, and there was no false alarm. A promise that was not yet
// due at the end does not count.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"meltwatch/simulator/broker"
	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
	"meltwatch/simulator/serve"
)

const root = "meltwatch/demo/furnace-1/"

// Options set the length of the demo and its programs.
type Options struct {
	Seconds int    // length
	Bin     string // folder of the agent's programs
	Model   string // folder of the model
	Keep    bool   // keep the working folder with the agent's log
}

// Run shows the demo on out and returns an error if a promise was broken.
func (d Options) Run(ctx context.Context, out *os.File) (err error) {
	total := time.Duration(d.Seconds) * time.Second
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	folder, err := os.MkdirTemp("", "meltwatch-demo-")
	if err != nil {
		return err
	}
	if !d.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	// The servers outlive the agent, which publishes its end when ctx ends.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	server, url, err := broker.Local()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	plant, err := serve.Start(serving, serve.Options{Scenario: d.scenario(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plant.Close()) }()
	page, err := pageAddress(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "demo: furnace at %s and %s, broker at %s; %d seconds, Ctrl-C ends it\ndemo: watch it at http://%s (log in with the password %q)\n",
		plant.MeterURL(), plant.CameraURL(), url, d.Seconds, page, pagePassword)
	if err != nil {
		return err
	}
	watcher := &subscriber{score: &score{started: time.Now()}}
	client, err := broker.Subscribe(url, "demo-view", root+"#", func(topic string, payload []byte) {
		watcher.take(strings.TrimPrefix(topic, root), payload, time.Now())
	})
	if err != nil {
		return err
	}
	defer client.Disconnect(100)
	agent, err := d.startAgent(ctx, folder, plant.MeterURL(), plant.CameraURL(), url, page)
	if err != nil {
		return err
	}
	follow(ctx, watcher, plant, newView(out), total, agent.ended)
	return errors.Join(agent.stop(), conclude(watcher, out))
}

// shortRun is the longest demo, in seconds, whose melt becomes abnormal early. The alarm
// then stays for minutes.
const shortRun = 300

func (d Options) scenario() furnace.Scenario {
	if d.Seconds <= shortRun {
		return furnace.ShortDemo()
	}
	return furnace.Demo()
}

// pagePassword lets a visitor try the page's labels; the page is on this machine only.
const pagePassword = "meltwatch"

// pageAddress is the page's usual address, or another port if that is in use.
func pageAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	for _, address := range []string{"127.0.0.1:8480", "127.0.0.1:0"} {
		listener, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			continue
		}
		free := listener.Addr().String()
		return free, listener.Close()
	}
	return "", errors.New("no port is free for the page")
}

// hashPassword writes the hash of the page's password with the agent's own command.
func (d Options) hashPassword(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(d.Bin, "meltwatch"), "password")
	cmd.Stdin = strings.NewReader(pagePassword + "\n")
	hash, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("hash of the page's password: %w; run make build", err)
	}
	return os.WriteFile(path, hash, 0o600)
}

// follow updates the view and reads the truth each half second, until ctx or the agent
// ends.
func follow(ctx context.Context, w *subscriber, plant *serve.Server, v *view, total time.Duration, ended <-chan struct{}) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case now := <-ticker.C:
			w.mu.Lock()
			w.score.learn(known(plant, now))
			err := v.show(&w.picture, now.Sub(w.score.started), total)
			w.mu.Unlock()
			if err != nil {
				return // the output was closed
			}
		}
	}
}

func known(plant *serve.Server, now time.Time) truth {
	t := plant.Truth()
	k := truth{at: now, sound: t.Label == furnace.SoundShell}
	if t.Episode > 0 {
		k.onset = t.Start.Add(time.Duration(t.Onset * float64(time.Second)))
	}
	return k
}

// conclude prints the summary as the last line, or returns the broken promises with it.
func conclude(w *subscriber, out io.Writer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := w.score.faults(time.Now())
	if w.fault != nil {
		faults = append(faults, w.fault.Error())
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "; ") + "; " + w.score.summary())
	}
	_, err := fmt.Fprintln(out, "demo: PASS:", w.score.summary())
	return err
}

// process is the running agent.
type process struct {
	cmd   *exec.Cmd
	log   *bytes.Buffer
	ended chan struct{}
	err   error // set before ended closes
}

func (d Options) startAgent(ctx context.Context, folder, meter, camera, broker, page string) (*process, error) {
	path := filepath.Join(folder, "meltwatch.yaml")
	if err := os.WriteFile(path, []byte(d.config(folder, meter, camera, broker, page)), 0o600); err != nil {
		return nil, err
	}
	if err := d.hashPassword(ctx, filepath.Join(folder, "page.hash")); err != nil {
		return nil, err
	}
	p := &process{log: &bytes.Buffer{}, ended: make(chan struct{})}
	// The process is not bound to ctx: SIGTERM ends it, so that it can publish its end.
	p.cmd = exec.Command(filepath.Join(d.Bin, "meltwatch"), "run", "--config", path) //nolint:noctx
	p.cmd.Stderr = p.log
	if d.Keep {
		file, err := os.Create(filepath.Join(folder, "agent.log"))
		if err != nil {
			return nil, err
		}
		p.cmd.Stderr = file
	}
	// Ctrl-C ends the demo, which then ends the agent.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the agent: %w; run make build", err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("the agent ended by itself: %w\n%s", p.err, p.log)
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end the agent: %w", err)
	}
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		return errors.Join(errors.New("the agent did not end within 10 s of SIGTERM"), p.cmd.Process.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("the agent ended with an error: %w\n%s", p.err, p.log)
	}
	return nil
}

func (d Options) config(folder, meter, camera, broker, page string) string {
	crop := scene.CropRect
	return fmt.Sprintf(`site: demo
furnace: furnace-1
meters:
  plc:
    url: %s
    fields:
      current_a: {address: 0}
      current_b: {address: 2}
      current_c: {address: 4}
      set_point: {address: 6}
      manual: {address: 24, type: bit, bit: 0}
      feeding: {address: 24, type: bit, bit: 1}
      exhaust: {address: 24, type: bit, bit: 2}
camera:
  url: %s
  crop: {x: %d, y: %d, width: %d, height: %d}
model:
  path: %s
mqtt:
  broker: %s
web:
  listen: %s
  password_file: %s
recorder:
  min_free_mb: 0
paths:
  state: %s
  programs: %s
`, meter, camera, crop.Min.X, crop.Min.Y, crop.Dx(), crop.Dy(), d.Model, broker, page, filepath.Join(folder, "page.hash"), filepath.Join(folder, "state"), d.Bin)
}
