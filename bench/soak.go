package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

	"meltwatch/agent/mqtt"
)

type soakCommand struct {
	Minutes float64 `default:"20" help:"How long."`
	Bin     string  `default:"bin" help:"Folder of the programs."`
	Model   string  `default:"inference/models/product" help:"Folder of the model."`
}

const soakRoot = "meltwatch/soak/f1/"

// Run lets every program run for a while, takes the network away now and then,
// and prints what arrived and what it all took.
func (c soakCommand) Run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "meltwatch-soak-")
	if err != nil {
		return err
	}
	s := &soak{command: c, folder: folder, account: newAccount(soakRoot), seen: make(chan struct{})}
	err = s.run(ctx)
	if err == nil {
		err = s.report(out)
	} else {
		err = fmt.Errorf("%w\nagent's log:\n%s", err, s.log.Bytes())
	}
	return errors.Join(err, os.RemoveAll(folder))
}

type soak struct {
	command soakCommand
	folder  string
	account *account
	log     bytes.Buffer
	curve   []point
	outages int
	away    time.Duration // the sum of outages

	once sync.Once
	seen chan struct{} // closed by the first verdict of the model

	mu     sync.Mutex
	health mqtt.Health
	parts  map[string]struct{ Counters map[string]uint64 }
}

// point is one reading of everything.
type point struct {
	at                   time.Duration
	agent, model, camera reading
	goroutines           int
	outboxBytes          int64
	waiting              int
}

func (s *soak) run(ctx context.Context) (err error) {
	broker, err := startMosquitto(ctx, s.folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.stop()) }()
	link, err := startLink(broker.address)
	if err != nil {
		return err
	}
	defer link.Stop()
	subscriber, err := s.subscribe(broker.address)
	if err != nil {
		return err
	}
	defer subscriber.Disconnect(100)
	meter, camera, simulator, err := s.startSimulator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, terminate(simulator)) }()
	agent, err := s.startAgent(meter, camera, link.Listen)
	if err != nil {
		return err
	}
	watched := s.watch(ctx, agent.Process.Pid, link)
	return errors.Join(watched, terminate(agent))
}

// startLink puts a proxy in front of the broker: outages happen to it, so that
// whoever counts stays connected.
func startLink(upstream string) (*toxiproxy.Proxy, error) {
	quiet := zerolog.Nop()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), quiet)
	proxy := toxiproxy.NewProxy(server, "broker", "127.0.0.1:0", upstream)
	return proxy, proxy.Start()
}

func (s *soak) subscribe(address string) (paho.Client, error) {
	options := paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("soak").SetOrderMatters(true).SetAutoReconnect(false)
	client := paho.NewClient(options)
	for _, token := range []func() paho.Token{
		client.Connect,
		func() paho.Token {
			return client.Subscribe(soakRoot+"#", 1, func(_ paho.Client, m paho.Message) { s.take(m.Topic(), m.Payload()) })
		},
	} {
		if t := token(); !t.WaitTimeout(10*time.Second) || t.Error() != nil {
			return nil, fmt.Errorf("subscribe: %w", errors.Join(t.Error(), errors.New("no answer within 10 s")))
		}
	}
	return client, nil
}

func (s *soak) take(topic string, payload []byte) {
	s.account.receive(topic, payload)
	switch strings.TrimPrefix(topic, soakRoot) {
	case mqtt.TopicHealth:
		s.mu.Lock()
		defer s.mu.Unlock()
		var parts struct {
			Parts map[string]struct{ Counters map[string]uint64 }
		}
		if errors.Join(json.Unmarshal(payload, &s.health), json.Unmarshal(payload, &parts)) == nil {
			s.parts = parts.Parts
		}
	case mqtt.TopicState:
		if bytes.Contains(payload, []byte(`"source":"model"`)) {
			s.once.Do(func() { close(s.seen) })
		}
	}
}

func (s *soak) startSimulator(ctx context.Context) (meter, camera string, process *exec.Cmd, err error) {
	process = exec.Command(filepath.Join(s.command.Bin, "furnace-sim"), "serve", "--life", "mixed", "--modbus", "127.0.0.1:0", "--rtsp", "127.0.0.1:0") //nolint:noctx // terminate ends it
	said := &lockedBuffer{}
	process.Stdout, process.Stderr = said, &s.log
	if err := process.Start(); err != nil {
		return "", "", nil, fmt.Errorf("start the simulator: %w; run make build", err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if n, _ := fmt.Sscanf(said.String(), "meter %s\ncamera %s\n", &meter, &camera); n == 2 {
			return meter, camera, process, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return "", "", nil, errors.Join(fmt.Errorf("the simulator did not start: %s", said.String()), terminate(process))
		}
	}
}

func (s *soak) startAgent(meter, camera, broker string) (*exec.Cmd, error) {
	text := fmt.Sprintf(`site: soak
furnace: f1
meters: {plc: {url: %q, fields: {current_a: {address: 0}, current_b: {address: 2}, current_c: {address: 4}, set_point: {address: 6}}}}
camera: {url: %q, crop: {x: 384, y: 176, width: 512, height: 512}}
model: {path: %q}
mqtt: {broker: "tcp://%s"}
paths: {state: %q, programs: %q}
`, meter, camera, s.command.Model, broker, filepath.Join(s.folder, "state"), s.command.Bin)
	path := filepath.Join(s.folder, "meltwatch.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	agent := exec.Command(filepath.Join(s.command.Bin, "meltwatch"), "run", "--config", path) //nolint:noctx // terminate ends it
	agent.Stderr = &s.log
	if err := agent.Start(); err != nil {
		return nil, fmt.Errorf("start the agent: %w; run make build", err)
	}
	return agent, nil
}

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

// watch reads everything while time passes and outages come and go: three in a
// short run, one in five minutes of a long one, each a quarter as long as what
// lies between.
func (s *soak) watch(ctx context.Context, pid int, link *toxiproxy.Proxy) error {
	select {
	case <-s.seen:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Minute):
		return errors.New("no verdict of the model within 2 minutes")
	}
	length := time.Duration(s.command.Minutes * float64(time.Minute))
	between := min(max(length/3, 40*time.Second), 5*time.Minute)
	pause := max(length/240, 500*time.Millisecond)
	began, next, back := time.Now(), between/2, time.Duration(0)
	for ; time.Since(began) < length && ctx.Err() == nil; time.Sleep(pause) {
		now := time.Since(began)
		switch {
		case back == 0 && now > next && now+between/4 < length:
			link.Stop()
			s.outages++
			back = now + between/4
		case back > 0 && now > back:
			if err := link.Start(); err != nil {
				return err
			}
			s.away += between / 4
			next, back = now+between, 0
		}
		if err := s.read(pid, now); err != nil {
			return err
		}
	}
	if back > 0 {
		if err := link.Start(); err != nil {
			return err
		}
		s.away += between / 4
	}
	s.settle(ctx)
	return ctx.Err()
}

func (s *soak) read(pid int, at time.Duration) error {
	agent, err := readProcess(pid)
	if err != nil {
		return fmt.Errorf("the agent: %w", err)
	}
	p := point{at: at, agent: agent}
	kin, err := children(pid)
	if err != nil {
		return fmt.Errorf("the agent's children: %w", err)
	}
	for name, to := range map[string]*reading{"meltwatch-infer": &p.model, "meltwatch-camera": &p.camera} {
		if child := kin[name]; child != 0 {
			if *to, err = readProcess(child); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if p.outboxBytes, err = folderSize(filepath.Join(s.folder, "state", "outbox")); err != nil {
		return fmt.Errorf("the outbox: %w", err)
	}
	s.mu.Lock()
	p.goroutines, p.waiting = s.health.Goroutines, s.waiting()
	s.mu.Unlock()
	s.curve = append(s.curve, p)
	return nil
}

// waiting is how many records the agent said wait. The lock is held.
func (s *soak) waiting() int {
	c := s.parts["mqtt"].Counters
	return int(c["waiting_event"] + c["waiting_state"] + c["waiting_current"])
}

// settle waits until what an outage kept back has arrived, a minute at most; the
// report tells what is missing.
func (s *soak) settle(ctx context.Context) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Second) {
		if s.account.gaps(mqtt.ClassEvent)+s.account.gaps(mqtt.ClassCurrent) == 0 {
			return
		}
	}
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
