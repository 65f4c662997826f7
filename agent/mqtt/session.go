package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"meltwatch/config"
	"meltwatch/retry"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	ackTimeout   = 10 * time.Second
	// window is how many messages may be unacknowledged at a time.
	window = 32
	// pack is how many samples one history message holds: ten seconds at 2 Hz.
	pack = 20
	// historyWindow is how many may be when another message of history goes out:
	// the rest of the window is for the living.
	historyWindow = window / 2
	// idle is how often a connection with nothing to send looks after itself.
	idle    = 500 * time.Millisecond
	goodbye = 500 * time.Millisecond
)

// redial connects, serves the connection until it is lost, and again.
func (p *Publisher) redial(ctx context.Context) error {
	faults := &retry.Faults{Log: p.log.With("part", "mqtt")}
	for try := 0; ; try++ {
		p.observer.Beat()
		began := time.Now()
		err := p.connect(ctx, faults)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		p.observer.Fault(err)
		if time.Since(began) > retry.Longest {
			try = 0
		}
		faults.Report(err)
		p.mu.Lock()
		p.redials++
		p.mu.Unlock()
		if !retry.Sleep(ctx, retry.Wait(try)) {
			return nil
		}
	}
}

// connect makes one connection and serves it; it returns why it ended.
func (p *Publisher) connect(ctx context.Context, faults *retry.Faults) error {
	s := &session{
		publisher: p,
		ledger:    newLedger(),
		lost:      make(chan error, 1),
		inFlight:  map[uint64]sent{},
	}
	options, err := p.options(s)
	if err != nil {
		return err
	}
	options.SetWill(p.root+TopicAvailability, "offline", 1, true)
	s.client = paho.NewClient(options)
	token := s.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		s.client.Disconnect(0)
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("connect to %s: %w", p.settings.Broker, err)
	}
	faults.Over()
	defer s.close()
	return s.serve(ctx)
}

// Try connects once, says OK to the observer, publishes nothing, and leaves. Its
// client id must not be the agent's own, or the broker would throw that out.
func Try(ctx context.Context, settings config.MQTT, root string, log *slog.Logger, observer Observer) error {
	p := New(settings, root, NewMemory(1), log, observer)
	options, err := p.options(&session{ledger: newLedger(), lost: make(chan error, 1)})
	if err != nil {
		return err
	}
	client := paho.NewClient(options)
	defer client.Disconnect(0)
	token := client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		return fmt.Errorf("connect to %s: %w", settings.Broker, ctx.Err())
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("connect to %s: %w", settings.Broker, err)
	}
	observer.OK()
	return nil
}

func (p *Publisher) options(s *session) (*paho.ClientOptions, error) {
	c := p.settings
	o := paho.NewClientOptions().
		AddBroker(c.Broker).
		SetClientID(c.ClientID).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(false).
		SetConnectTimeout(dialTimeout).
		SetWriteTimeout(writeTimeout).
		SetKeepAlive(c.KeepAlive).
		SetPingTimeout(c.KeepAlive / 2).
		SetProtocolVersion(4).
		SetStore(s.ledger).
		SetCustomOpenConnectionFn(openBounded(p.log)).
		SetConnectionLostHandler(func(_ paho.Client, err error) { s.lost <- err })
	if c.Username != "" {
		o.SetUsername(c.Username)
	}
	if c.PasswordFile != "" {
		password, err := Secret(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt.password_file: %w", err)
		}
		o.SetPassword(password)
	}
	tls, err := tlsConfig(c.CAFile)
	if err != nil {
		return nil, err
	}
	return o.SetTLSConfig(tls), nil
}

// sent is a message that waits for its PUBACK.
type sent struct {
	order   uint64    // of sending, on this connection
	records []*record // what to keep should it never come
	at      time.Time
}

// session is one connection. Only its own goroutine touches it, except for the
// ledger and lost.
type session struct {
	publisher *Publisher
	client    paho.Client
	ledger    *ledger
	lost      chan error
	inFlight  map[uint64]sent
	history   pace
	order     uint64 // messages sent so far
}

var errNoAck = fmt.Errorf("broker acknowledged nothing for %s", ackTimeout)

func (s *session) serve(ctx context.Context) error {
	p := s.publisher
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.subscribe(ctx)
	s.greet()
	p.setConnected(true)
	p.observer.OK()
	again := time.NewTimer(0)
	defer again.Stop()
	reported := time.Time{}
	for {
		p.observer.Beat()
		s.settle()
		s.send()
		if s.overdue() {
			return errNoAck
		}
		if p.backlog() {
			again.Reset(time.Second / time.Duration(p.settings.HistoryRate))
		} else {
			again.Reset(idle)
		}
		if time.Since(reported) > time.Second {
			reported = time.Now()
			p.observer.Count(p.Counters())
		}
		select {
		case <-ctx.Done():
			s.leave()
			return ctx.Err()
		case err := <-s.lost:
			return fmt.Errorf("connection to %s lost: %w", p.settings.Broker, orUnknown(err))
		case <-p.news:
		case <-s.ledger.news:
		case <-again.C:
		}
	}
}

func orUnknown(err error) error {
	if err == nil {
		return errors.New("no reason given")
	}
	return err
}

// greet makes the retained topics true again before anything else is said.
func (s *session) greet() {
	s.publish(TopicAvailability, true, []byte("online"), nil)
	p := s.publisher
	p.mu.Lock()
	state, health := p.retained[TopicState], p.retained[TopicHealth]
	p.changed = map[string]bool{}
	for topic := range p.retained {
		if topic != TopicState && topic != TopicHealth {
			p.changed[topic] = true // said after the greeting
		}
	}
	p.mu.Unlock()
	if state != nil {
		s.publish(TopicState, true, state, nil)
	}
	if health != nil {
		s.publish(TopicHealth, true, health, nil)
	}
}

// publish sends one message; records are kept until it is acknowledged.
func (s *session) publish(topic string, retained bool, payload []byte, records []*record) {
	token := s.client.Publish(s.publisher.root+topic, 1, retained, payload)
	s.publisher.mu.Lock()
	s.publisher.published++
	s.publisher.mu.Unlock()
	s.order++
	key := notSent + s.order // a message that paho refused waits for the connection's end
	if t, ok := token.(*paho.PublishToken); ok && t.MessageID() != 0 {
		key = uint64(t.MessageID())
	}
	s.inFlight[key] = sent{s.order, records, time.Now()}
}

// notSent is beyond every message id.
const notSent = 1 << 16

// settle strikes what was acknowledged.
func (s *session) settle() {
	for _, id := range s.ledger.take() {
		key := uint64(id)
		if _, ours := s.inFlight[key]; !ours {
			continue
		}
		s.publisher.acknowledged(s.inFlight[key].records)
		delete(s.inFlight, key)
	}
}

func (s *session) overdue() bool {
	for _, m := range s.inFlight {
		if time.Since(m.at) > ackTimeout {
			return true
		}
	}
	return false
}

// send fills the window: live records first, then retained topics and answers, then history.
func (s *session) send() {
	for len(s.inFlight) < window {
		topic, retained, payload, records := s.publisher.next()
		if payload == nil {
			break
		}
		s.publish(topic, retained, payload, records)
	}
	for len(s.inFlight) < historyWindow && s.history.ready(time.Now()) {
		s.publisher.mu.Lock()
		topic, payload, records := s.publisher.nextHistory()
		s.publisher.mu.Unlock()
		if payload == nil {
			return
		}
		s.history.sent(time.Now(), s.publisher.settings.HistoryRate)
		s.publish(topic, false, payload, records)
	}
}

// next takes what should be sent next on a live topic; payload is nil when
// nothing waits.
func (p *Publisher) next() (topic string, retained bool, payload []byte, records []*record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.live) > 0 {
		r := p.live[0]
		p.live = p.live[1:]
		records = []*record{r}
		if r.class == ClassCurrent {
			return TopicCurrent, false, packed(records, false), records
		}
		return string(r.class), r.class == ClassState, r.payload, records
	}
	if topic, payload := p.nextChanged(); payload != nil {
		return topic, true, payload, nil
	}
	if a, ok := p.nextAnswer(); ok {
		return a.topic, false, a.payload, nil
	}
	return "", false, nil, nil
}

// close ends the connection and puts what was not acknowledged back.
func (s *session) close() {
	const flush = 100 // milliseconds for the DISCONNECT packet to leave
	s.client.Disconnect(flush)
	s.settle()
	s.publisher.setConnected(false)
	s.publisher.giveBack(s.inFlight)
}

// leave says goodbye on purpose: the will is for accidents.
func (s *session) leave() {
	s.publish(TopicAvailability, true, []byte("offline"), nil)
	deadline := time.NewTimer(goodbye)
	defer deadline.Stop()
	for len(s.inFlight) > 0 {
		select {
		case <-deadline.C:
			return
		case <-s.lost: //nolint:errcheck // the reason does not matter to who leaves
			return
		case <-s.ledger.news:
			s.settle()
		}
	}
}
