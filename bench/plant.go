package main

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

	"meltwatch/simulator/scene"
)

// programs are where everything is that a plant consists of.
type programs struct {
	Bin   string `default:"bin" help:"Folder of the programs."`
	Model string `default:"inference/models/product" help:"Folder of the model."`
}

// plantFurnace is the furnace's name in its topics.
const plantFurnace = "f1"

// plant is the simulator, mosquitto and the agent, each a process of its own, and
// a subscriber in this one. The agent's way to the broker is a proxy: outages
// happen to that, so that the subscriber stays connected.
type plant struct {
	programs programs
	camera   bool
	melt     []string // arguments of furnace-sim serve; a mixed life without
	root     string   // of the topics
	take     func(topic string, payload []byte)

	folder     string
	log        *lockedBuffer
	broker     *mosquitto
	link       *toxiproxy.Proxy
	subscriber paho.Client
	simulator  *exec.Cmd
	meter      string // its URL
	control    string // URL of the truth
	agent      *exec.Cmd
}

// start starts everything; stop must follow, whatever it returned.
func (p *plant) start(ctx context.Context, site string) (err error) {
	p.root = "meltwatch/" + site + "/" + plantFurnace + "/"
	p.log = &lockedBuffer{}
	if p.folder, err = os.MkdirTemp("", "meltwatch-bench-"); err != nil {
		return err
	}
	if p.broker, err = startMosquitto(ctx, p.folder); err != nil {
		return err
	}
	if p.link, err = startLink(p.broker.address); err != nil {
		return err
	}
	if err = p.subscribe(); err != nil {
		return err
	}
	places, err := p.startSimulator(ctx)
	if err != nil {
		return err
	}
	p.meter, p.control = places["meter"], places["control"]
	return p.startAgent(site, p.meter, places["camera"])
}

// stop ends what was started; with a fault of the agent comes its log.
func (p *plant) stop() error {
	var faults []error
	if p.agent != nil {
		if err := terminate(p.agent); err != nil {
			faults = append(faults, fmt.Errorf("%w\n%s", err, p.log.String()))
		}
	}
	if p.simulator != nil {
		faults = append(faults, terminate(p.simulator))
	}
	if p.subscriber != nil {
		p.subscriber.Disconnect(100)
	}
	if p.link != nil {
		p.link.Stop()
	}
	if p.broker != nil {
		faults = append(faults, p.broker.stop())
	}
	return errors.Join(append(faults, os.RemoveAll(p.folder))...)
}

func startLink(upstream string) (*toxiproxy.Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "broker", "127.0.0.1:0", upstream)
	return proxy, proxy.Start()
}

func (p *plant) subscribe() (err error) {
	p.subscriber, err = subscribe(p.broker.address, "bench", p.root+"#", p.take)
	return err
}

// subscribe has take called with every message, one at a time.
func subscribe(address, id, filter string, take func(topic string, payload []byte)) (paho.Client, error) {
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetAutoReconnect(false))
	for _, ask := range []func() paho.Token{
		client.Connect,
		func() paho.Token {
			return client.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { take(m.Topic(), m.Payload()) })
		},
	} {
		token := ask()
		if !token.WaitTimeout(10 * time.Second) {
			return nil, fmt.Errorf("subscribe at %s: no answer within 10 s", address)
		}
		if err := token.Error(); err != nil {
			return nil, fmt.Errorf("subscribe at %s: %w", address, err)
		}
	}
	return client, nil
}

// startSimulator returns where everything is, as the simulator says it.
func (p *plant) startSimulator(ctx context.Context) (places map[string]string, err error) {
	arguments := []string{"serve", "--modbus", "127.0.0.1:0", "--rtsp", "127.0.0.1:0", "--control", "127.0.0.1:0"}
	want := 3
	if !p.camera {
		arguments, want = append(arguments, "--no-camera"), 2
	}
	if len(p.melt) > 0 {
		arguments = append(arguments, p.melt...)
	} else {
		arguments = append(arguments, "--life", "mixed")
	}
	simulator := exec.Command(filepath.Join(p.programs.Bin, "furnace-sim"), arguments...) //nolint:noctx // stop ends it
	said := &lockedBuffer{}
	simulator.Stdout, simulator.Stderr = said, p.log
	if err := simulator.Start(); err != nil {
		return nil, fmt.Errorf("start the simulator: %w; run make build", err)
	}
	p.simulator = simulator
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		places = map[string]string{}
		for line := range strings.Lines(said.String()) {
			if words := strings.Fields(line); len(words) == 2 && strings.HasSuffix(line, "\n") {
				places[words[0]] = words[1]
			}
		}
		if len(places) == want {
			return places, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return nil, fmt.Errorf("the simulator did not start: %s%s", said.String(), p.log.String())
		}
	}
}

func (p *plant) startAgent(site, meter, camera string) error {
	eye := "camera: {enabled: false}"
	if p.camera {
		crop := scene.CropRect
		eye = fmt.Sprintf("camera: {url: %q, crop: {x: %d, y: %d, width: %d, height: %d}}", camera, crop.Min.X, crop.Min.Y, crop.Dx(), crop.Dy())
	}
	text := fmt.Sprintf(`site: %s
furnace: %s
meters: {plc: {url: %q, fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}}
%s
model: {path: %q}
mqtt: {broker: "tcp://%s"}
paths: {state: %q, programs: %q}
`, site, plantFurnace, meter, eye, p.programs.Model, p.link.Listen, p.state(), p.programs.Bin)
	path := filepath.Join(p.folder, "meltwatch.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	agent := exec.Command(filepath.Join(p.programs.Bin, "meltwatch"), "run", "--config", path) //nolint:noctx // stop ends it
	agent.Stderr = p.log
	if err := agent.Start(); err != nil {
		return fmt.Errorf("start the agent: %w; run make build", err)
	}
	p.agent = agent
	return nil
}

// state is the agent's folder.
func (p *plant) state() string { return filepath.Join(p.folder, "state") }

func (p *plant) outbox() string { return filepath.Join(p.state(), "outbox") }

// terminate asks a process to end, and waits.
func terminate(process *exec.Cmd) error {
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end %s: %w", filepath.Base(process.Path), err)
	}
	unwilling := time.AfterFunc(20*time.Second, func() { _ = process.Process.Kill() }) // Wait tells
	defer unwilling.Stop()
	if err := process.Wait(); err != nil {
		return fmt.Errorf("end %s: %w", filepath.Base(process.Path), err)
	}
	return nil
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
