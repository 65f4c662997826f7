// Package rig is what the measurements share: a plant of real processes, brokers that
// can be stopped, a crash worker, the ledger of what was made and received, and readings
// of a process's resources.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"

	"meltwatch/agent/message"
	"meltwatch/simulator/broker"
	"meltwatch/simulator/scene"
)

// Programs are the folders of what a plant runs.
type Programs struct {
	Bin   string // folder of the programs
	Model string // folder of the model
}

// furnace is the furnace's name in its topics.
const furnace = "f1"

// Root is the start of the topics of a site's one furnace.
func Root(site string) string { return message.Root(site, furnace) }

// Plant is the simulator, mosquitto and the agent, each a process of its own, and a
// subscriber in this one. The agent reaches the broker through a proxy: an outage stops
// the proxy, so the subscriber stays connected.
type Plant struct {
	Programs Programs
	Camera   bool
	Period   time.Duration // of the meter's polls; the agent's default if zero
	Melt     []string      // arguments of furnace-sim serve; --life mixed if empty
	Take     func(topic string, payload []byte)

	// Set by Start.
	Root    string // of the topics
	Folder  string
	Log     *Buffer // of the programs
	Broker  *Mosquitto
	Link    *toxiproxy.Proxy // between the agent and the broker
	Meter   string           // its URL
	Control string           // URL of the simulator's truth
	Agent   *exec.Cmd

	subscriber paho.Client
	simulator  *exec.Cmd
	site       string
	camera     string      // its URL; empty without one
	more       []*exec.Cmd // further agents, see StartMore
	config     string      // the agent's file
	sections   string      // what the file always holds
}

// Start starts everything. The caller calls Stop, after an error too.
func (p *Plant) Start(ctx context.Context, site string) (err error) {
	p.site, p.Root = site, Root(site)
	p.Log = &Buffer{}
	if p.Folder, err = os.MkdirTemp("", "meltwatch-bench-"); err != nil {
		return err
	}
	if p.Broker, err = StartMosquitto(ctx, p.Folder); err != nil {
		return err
	}
	if p.Link, err = StartLink(p.Broker.Address); err != nil {
		return err
	}
	if err = p.subscribe(); err != nil {
		return err
	}
	places, err := p.startSimulator(ctx)
	if err != nil {
		return err
	}
	p.Meter, p.Control, p.camera = places["meter"], places["control"], places["camera"]
	return p.startAgent()
}

// Stop ends what was started. An error of the agent includes its log.
func (p *Plant) Stop() error {
	var faults []error
	if p.Agent != nil {
		if err := terminate(p.Agent); err != nil {
			faults = append(faults, fmt.Errorf("%w\n%s", err, p.Log.String()))
		}
	}
	for _, agent := range p.more {
		faults = append(faults, terminate(agent))
	}
	if p.simulator != nil {
		faults = append(faults, terminate(p.simulator))
	}
	if p.subscriber != nil {
		p.subscriber.Disconnect(100)
	}
	if p.Link != nil {
		p.Link.Stop()
	}
	if p.Broker != nil {
		faults = append(faults, p.Broker.Stop())
	}
	return errors.Join(append(faults, os.RemoveAll(p.Folder))...)
}

// StartLink starts a proxy to an address, which can be stopped and started again.
func StartLink(upstream string) (*toxiproxy.Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "broker", "127.0.0.1:0", upstream)
	return proxy, proxy.Start()
}

func (p *Plant) subscribe() (err error) {
	p.subscriber, err = broker.Subscribe(p.Broker.URL(), "bench", p.Root+"#", p.Take)
	return err
}

// startSimulator returns the addresses that the simulator prints, by name.
func (p *Plant) startSimulator(ctx context.Context) (places map[string]string, err error) {
	arguments := []string{"serve", "--modbus", "127.0.0.1:0", "--rtsp", "127.0.0.1:0", "--control", "127.0.0.1:0"}
	want := 3
	if !p.Camera {
		arguments, want = append(arguments, "--no-camera"), 2
	}
	if len(p.Melt) > 0 {
		arguments = append(arguments, p.Melt...)
	} else {
		arguments = append(arguments, "--life", "mixed")
	}
	simulator := exec.Command(filepath.Join(p.Programs.Bin, "furnace-sim"), arguments...) //nolint:noctx // stop ends it
	output := &Buffer{}
	simulator.Stdout, simulator.Stderr = output, p.Log
	if err := simulator.Start(); err != nil {
		return nil, fmt.Errorf("start the simulator: %w; run make build", err)
	}
	p.simulator = simulator
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		places = map[string]string{}
		for line := range strings.Lines(output.String()) {
			if words := strings.Fields(line); len(words) == 2 && strings.HasSuffix(line, "\n") {
				places[words[0]] = words[1]
			}
		}
		if len(places) == want {
			return places, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return nil, fmt.Errorf("the simulator did not start: %s%s", output.String(), p.Log.String())
		}
	}
}

func (p *Plant) startAgent() (err error) {
	p.sections = p.file(furnace)
	p.config = filepath.Join(p.Folder, "meltwatch.yaml")
	if err := p.Configure(""); err != nil {
		return err
	}
	p.Agent, err = p.run(p.config)
	return err
}

// file is the configuration file of the agent of one furnace, in YAML.
func (p *Plant) file(furnace string) string {
	section := "camera: {enabled: false}"
	if p.Camera {
		crop := scene.CropRect
		section = fmt.Sprintf("camera: {url: %q, crop: {x: %d, y: %d, width: %d, height: %d}}", p.camera, crop.Min.X, crop.Min.Y, crop.Dx(), crop.Dy())
	}
	period := ""
	if p.Period > 0 {
		period = fmt.Sprintf("period: %s, timeout: %s, ", p.Period, p.Period*9/10)
	}
	return fmt.Sprintf(`site: %s
furnace: %s
meters: {plc: {url: %q, %sfields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}}
%s
model: {path: %q}
mqtt: {broker: "tcp://%s"}
paths: {state: %q, programs: %q}
`, p.site, furnace, p.Meter, period, section, p.Programs.Model, p.Link.Listen, p.state(furnace), p.Programs.Bin)
}

// StartMore starts a further agent, of a furnace of its own with the same meter, camera and
// broker, and returns it. Stop ends it.
func (p *Plant) StartMore() (*exec.Cmd, error) {
	name := fmt.Sprintf("f%d", len(p.more)+2)
	path := filepath.Join(p.Folder, name+".yaml")
	if err := os.WriteFile(path, []byte(p.file(name)), 0o600); err != nil {
		return nil, err
	}
	agent, err := p.run(path)
	if err != nil {
		return nil, err
	}
	p.more = append(p.more, agent)
	return agent, nil
}

// Configure writes the agent's file with further sections, in YAML. It counts from the
// agent's next start on.
func (p *Plant) Configure(more string) error {
	return os.WriteFile(p.config, []byte(p.sections+more), 0o600)
}

// Recordings returns the folder in which the agent records if its file says so.
func (p *Plant) Recordings() string { return filepath.Join(p.state(furnace), "recordings") }

// RestartAgent ends the agent, calls starting, and starts it again.
func (p *Plant) RestartAgent(starting func()) (err error) {
	before := p.Agent
	p.Agent = nil
	if err := terminate(before); err != nil {
		return err
	}
	starting()
	p.Agent, err = p.run(p.config)
	return err
}

// run starts an agent with a configuration file.
func (p *Plant) run(config string) (*exec.Cmd, error) {
	agent := exec.Command(filepath.Join(p.Programs.Bin, "meltwatch"), "run", "--config", config) //nolint:noctx // stop ends it
	agent.Stderr = p.Log
	if err := agent.Start(); err != nil {
		return nil, fmt.Errorf("start the agent: %w; run make build", err)
	}
	return agent, nil
}

// state returns the state folder of a furnace's agent.
func (p *Plant) state(furnace string) string { return filepath.Join(p.Folder, "state", furnace) }

// Outbox returns the folder of the agent's outbox.
func (p *Plant) Outbox() string { return filepath.Join(p.state(furnace), "outbox") }

// terminate sends SIGTERM and waits; a process that does not end is killed.
func terminate(process *exec.Cmd) error {
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end %s: %w", filepath.Base(process.Path), err)
	}
	kill := time.AfterFunc(20*time.Second, func() { _ = process.Process.Kill() }) // Wait returns the error
	defer kill.Stop()
	if err := process.Wait(); err != nil {
		return fmt.Errorf("end %s: %w", filepath.Base(process.Path), err)
	}
	return nil
}

// Buffer is a buffer that is safe for concurrent use.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the buffer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns everything written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
