package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/config"
)

// topicsOf are what meltctl reads of every agent, below meltwatch/<site>/<furnace>/.
var topicsOf = []string{"availability", "state", "health", "config/desired", "config/reported", "model/desired", "model/reported"}

const (
	root = "meltwatch/"
	// answerTimeout bounds a connection, a subscription and a publication.
	answerTimeout = 10 * time.Second
	// silence is how long no retained topic must come for all to have come.
	silence = 400 * time.Millisecond
)

// fleet is one connection to the broker and the newest payload of every topic.
type fleet struct {
	client paho.Client
	lost   chan error

	mu   sync.Mutex
	said map[string]map[string][]byte // agent → topic → payload
	last time.Time
}

// join connects and subscribes.
func (b brokerFlags) join(ctx context.Context) (*fleet, error) {
	f := &fleet{lost: make(chan error, 1), said: map[string]map[string][]byte{}, last: time.Now()}
	options, err := b.options()
	if err != nil {
		return nil, err
	}
	options.SetConnectionLostHandler(func(_ paho.Client, err error) { f.lost <- err })
	f.client = paho.NewClient(options)
	if err := await(ctx, f.client.Connect()); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", b.Broker, err)
	}
	filters := map[string]byte{}
	for _, topic := range topicsOf {
		filters[root+"+/+/"+topic] = 1
	}
	if err := await(ctx, f.client.SubscribeMultiple(filters, f.take)); err != nil {
		return nil, fmt.Errorf("subscribe at %s: %w", b.Broker, err)
	}
	return f, nil
}

func (b brokerFlags) options() (*paho.ClientOptions, error) {
	o := paho.NewClientOptions().AddBroker(b.Broker).SetClientID(fmt.Sprintf("meltctl-%08x", rand.Uint32())).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectTimeout(answerTimeout).SetProtocolVersion(4)
	if b.Username != "" {
		o.SetUsername(b.Username)
	}
	if b.PasswordFile != "" {
		text, err := os.ReadFile(b.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read password: %w", err)
		}
		o.SetPassword(strings.TrimRight(string(text), "\r\n"))
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.CAFile != "" {
		text, err := os.ReadFile(b.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no PEM certificate", b.CAFile)
		}
	}
	return o.SetTLSConfig(c), nil
}

func await(ctx context.Context, token paho.Token) error {
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-timer.C:
		return fmt.Errorf("no answer within %s", answerTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fleet) leave() { f.client.Disconnect(100) }

func (f *fleet) take(_ paho.Client, m paho.Message) {
	parts := strings.SplitN(strings.TrimPrefix(m.Topic(), root), "/", 3)
	if len(parts) != 3 {
		return
	}
	agent, topic := parts[0]+"/"+parts[1], parts[2]
	if !config.ValidName(parts[0]) || !config.ValidName(parts[1]) {
		return // no agent can have such a name: somebody else writes below meltwatch/
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said[agent] == nil {
		f.said[agent] = map[string][]byte{}
	}
	f.said[agent][topic] = m.Payload()
	f.last = time.Now()
}

// gather waits until the retained topics have come.
func (f *fleet) gather(ctx context.Context, most time.Duration) error {
	end := time.Now().Add(most)
	for {
		f.mu.Lock()
		quiet := time.Since(f.last) > silence
		f.mu.Unlock()
		if quiet || time.Now().After(end) {
			return nil
		}
		if err := f.pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits; it returns early when ctx ends or the connection is lost.
func (f *fleet) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-f.lost:
		f.lost <- err
		return fmt.Errorf("connection to the broker lost: %w", err)
	}
}

// payload is the newest of a topic, nil when nothing was heard.
func (f *fleet) payload(agent, topic string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said[agent][topic]
}

// publish publishes a payload and waits until the broker has it.
func (f *fleet) publish(ctx context.Context, agent, topic string, retained bool, payload []byte) error {
	if err := await(ctx, f.client.Publish(root+agent+"/"+topic, 1, retained, payload)); err != nil {
		return fmt.Errorf("publish %s of %s: %w", topic, agent, err)
	}
	return nil
}

// choose names the agents that a pattern means: all, a name such as plant-1/f07,
// or a pattern such as plant-1/*.
func (f *fleet) choose(pattern string) ([]string, error) {
	f.mu.Lock()
	agents := slices.Sorted(maps.Keys(f.said))
	f.mu.Unlock()
	if pattern == "all" {
		pattern = "*/*"
	}
	var chosen []string
	for _, agent := range agents {
		fits, err := path.Match(pattern, agent)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if fits {
			chosen = append(chosen, agent)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no agent of the %d that the broker knows is meant by %q", len(agents), pattern)
	}
	return chosen, nil
}

func (f *fleet) online(agent string) bool {
	return string(f.payload(agent, "availability")) == "online"
}
