// Package fleet looks after many agents over the broker that they all talk to: it
// lists them, changes their configuration, rolls models out in stages, and makes the
// files of new boxes. Command meltctl is its command line.
//
// The package keeps no state of its own. The broker's retained topics hold the desired
// documents of each agent and the agent's reports, so two people with meltctl see the
// same.
package fleet

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/config/credential"
)

// topicsOf are the topics of every agent that are subscribed to, below
// meltwatch/<site>/<furnace>/.
var topicsOf = []string{
	message.TopicAvailability, message.TopicState, message.TopicAlarm, message.TopicSuspicion, message.TopicHealth, message.TopicConfigDesired, message.TopicConfigReported,
	message.TopicModelDesired, message.TopicModelReported,
}

const (
	// answerTimeout bounds a connection, a subscription and a publication.
	answerTimeout = 10 * time.Second
	// quietPeriod without a retained topic means that all have arrived, unless the broker has
	// been slower than half of that: see arrivals.
	quietPeriod = 400 * time.Millisecond
)

// Broker says where the broker is and how to log in to it.
type Broker struct {
	URL          string // tcp://, ssl://, ws:// or wss://host:port
	Username     string // empty for none
	PasswordFile string // with the user's password
	CAFile       string // PEM, verifies the broker; the system's roots when empty
	// Wait bounds the wait for retained topics.
	Wait time.Duration
}

// Fleet is all agents at one broker. Its operations print what they do to Out. Agents
// are chosen by "all", its name such as plant-1/f07, or a pattern such as
// plant-1/*.
type Fleet struct {
	Broker
	Out io.Writer
}

// connection is one connection to the broker, with the newest payload of every topic.
type connection struct {
	broker Broker
	client paho.Client
	lost   chan error

	mu       sync.Mutex
	payloads map[string]map[string][]byte // agent → topic → payload
	arrivals arrivals                     // of what the broker had kept
	gathered bool                         // it has all arrived; later subscriptions do not count
	refused  map[string]byte              // filters that the broker refuses
	awaited  map[string]string            // what was sent and has not come back, by topic
}

// arrivals tells when all retained topics of a subscription have arrived, which no broker
// announces.
type arrivals struct {
	some    bool
	last    time.Time     // of the newest, at first the subscription
	slowest time.Duration // longest wait for one so far
}

// came notes the arrival of a retained topic.
func (a *arrivals) came() {
	now := time.Now()
	a.some, a.slowest, a.last = true, max(a.slowest, now.Sub(a.last)), now
}

// over reports whether none has come for so long that none is expected. A broker that has
// been slow, as a cluster that asks other nodes, is given twice its longest wait.
func (a *arrivals) over() bool { return time.Since(a.last) > max(quietPeriod, 2*a.slowest) }

// with calls operation once it has connected and the retained topics have arrived. later are
// the topics of which operation waits for more.
func (b Broker) with(ctx context.Context, operation func(*connection) error, later ...string) error {
	c, err := b.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	all, err := c.gather(ctx, b.Wait)
	if err != nil {
		return err
	}
	if !all {
		return fmt.Errorf("the broker may not have sent all retained topics within --wait %s, so agents may be missing: give a longer --wait", b.Wait)
	}
	if err := c.follow(ctx, later); err != nil {
		return err
	}
	return operation(c)
}

// connect connects and subscribes.
func (b Broker) connect(ctx context.Context) (*connection, error) {
	c := &connection{broker: b, lost: make(chan error, 1), payloads: map[string]map[string][]byte{}}
	options, err := b.options()
	if err != nil {
		return nil, err
	}
	options.SetConnectionLostHandler(func(_ paho.Client, err error) { c.lost <- err })
	c.client = paho.NewClient(options)
	if err := await(ctx, c.client.Connect()); err != nil {
		c.close() // it may still connect
		return nil, fmt.Errorf("connect to %s: %w%s", b.URL, err, b.hint())
	}
	c.arrivals.last = time.Now()
	if err := c.subscribe(ctx, filtersOf(topicsOf, kept), c.take); err != nil {
		c.close()
		return nil, fmt.Errorf("subscribe at %s: %w", b.URL, err)
	}
	return c, nil
}

// DefaultBroker is the address that a command uses unless another is given.
const DefaultBroker = "tcp://127.0.0.1:1883"

// hint says how to give the broker's address to a person who may have given none.
func (b Broker) hint() string {
	if b.URL != DefaultBroker {
		return ""
	}
	return " (set --broker or MELTCTL_BROKER)"
}

func (b Broker) options() (*paho.ClientOptions, error) {
	o := paho.NewClientOptions().AddBroker(b.URL).SetClientID(fmt.Sprintf("meltctl-%08x", rand.Uint32())).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectTimeout(answerTimeout).SetProtocolVersion(4)
	if b.Username != "" {
		o.SetUsername(b.Username)
	}
	if b.PasswordFile != "" {
		password, err := credential.Read(b.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("--password-file: %w", err)
		}
		o.SetPassword(password)
	}
	secure, err := credential.TLS(b.CAFile, "", "")
	if err != nil {
		return nil, err
	}
	return o.SetTLSConfig(secure), nil
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

func (c *connection) close() { c.client.Disconnect(100) }

func (c *connection) take(_ paho.Client, m paho.Message) {
	agent, topic, ok := splitTopic(m.Topic())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cameBack(m)
	if !ok {
		return
	}
	if c.payloads[agent] == nil {
		c.payloads[agent] = map[string][]byte{}
	}
	c.payloads[agent][topic] = m.Payload()
	if m.Retained() && !c.gathered { // the states of a running agent never end
		c.arrivals.came()
	}
}

// splitTopic divides a topic into the agent's name and the rest. It returns false for names
// that are invalid for an agent: another program writes below meltwatch/.
func splitTopic(full string) (agent, topic string, ok bool) {
	parts := strings.SplitN(full, "/", 4) // meltwatch, site, furnace, the rest
	if len(parts) != 4 || !config.ValidName(parts[1]) || !config.ValidName(parts[2]) {
		return "", "", false
	}
	return parts[1] + "/" + parts[2], parts[3], true
}

// gather waits until the retained topics have arrived: until no more come, or for most. A
// cluster of brokers may take seconds before the first. all is false if more may come
// then: a change for all agents would omit those that are not known yet, and replace
// documents that are not known.
func (c *connection) gather(ctx context.Context, most time.Duration) (all bool, err error) {
	for end := time.Now().Add(most); ; {
		c.mu.Lock()
		some := c.arrivals.some
		all = some && c.arrivals.over()
		late := time.Now().After(end)
		c.gathered = all || late
		c.mu.Unlock()
		switch {
		case late || all:
			return all || !some, nil
		}
		if err := c.pause(ctx, 50*time.Millisecond); err != nil {
			return false, err
		}
	}
}

// pause waits for d. It returns early if ctx ends or the connection is lost.
func (c *connection) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-c.lost:
		c.lost <- err
		return fmt.Errorf("connection to the broker lost: %w", err)
	}
}

// payload returns the newest payload of a topic, nil if none has arrived.
func (c *connection) payload(agent, topic string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.payloads[agent][topic]
}

// rootOf is the start of an agent's topics.
func rootOf(agent string) string {
	site, furnace, _ := strings.Cut(agent, "/")
	return message.Root(site, furnace)
}

// publish returns once the broker has acknowledged the payload.
func (c *connection) publish(ctx context.Context, agent, topic string, retained bool, payload []byte) error {
	if err := await(ctx, c.client.Publish(rootOf(agent)+topic, 1, retained, payload)); err != nil {
		return fmt.Errorf("publish %s of %s: %w", topic, agent, err)
	}
	return nil
}

// choose returns the known agents that match a pattern: all, a name such as
// plant-1/f07, or a pattern such as plant-1/*.
func (c *connection) choose(pattern string) ([]string, error) {
	if err := checkPattern(pattern); err != nil {
		return nil, err
	}
	c.mu.Lock()
	agents := slices.Sorted(maps.Keys(c.payloads))
	c.mu.Unlock()
	var chosen []string
	for _, agent := range agents {
		if fits, err := path.Match(pattern, agent); pattern == "all" || err == nil && fits {
			chosen = append(chosen, agent)
		}
	}
	if len(agents) == 0 {
		return nil, fmt.Errorf("no agent matches %q; the broker knows 0: no retained message was found below meltwatch/: %s", pattern, noneFound)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no agent matches %q; the broker knows %d", pattern, len(agents))
	}
	return chosen, nil
}

// checkPattern refuses a pattern that no name is compared with.
func checkPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("pattern %q: %w; write all, plant-1/f07 or plant-1/*", pattern, err)
	}
	return nil
}

func (c *connection) online(agent string) bool {
	return string(c.payload(agent, message.TopicAvailability)) == message.Online
}
