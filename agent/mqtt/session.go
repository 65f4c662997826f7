// Package mqtt is one connection to one broker: it is dialled once and not reused.
// Package delivery decides what is sent over it and when to dial the next one.
//
// paho's reconnection and session resumption are off, because with them an
// acknowledgement may belong to an earlier connection.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/config"
	"meltwatch/config/credential"
)

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	// answerTimeout is how long a broker may take to answer a subscription.
	answerTimeout = 10 * time.Second
)

// Handler handles a message on a topic below the furnace's root. retained reports
// whether the broker had stored it. A handler must not block or publish.
type Handler func(topic string, payload []byte, retained bool)

// Options configure a connection.
type Options struct {
	Settings config.MQTT
	Broker   config.NamedBroker // one of the settings' brokers
	ClientID string
	// Root is the start of the furnace's topics. All topics are given without it,
	// except the topic of Publish.
	Root string
	// Will makes the broker publish message.Offline after an unplanned end of the
	// connection.
	Will bool
	Log  *slog.Logger
	// ClearedAfter is how long after the SUBACK a retained message may arrive; 0 means
	// 10 s.
	ClearedAfter time.Duration
}

// Session is one connection. Publish and Acks belong to one goroutine.
type Session struct {
	options  Options
	client   paho.Client
	acks     *acks
	received *received
	lost     chan error
}

// ErrNoRetain is the likely cause if a connection ends before anything was
// acknowledged.
var ErrNoRetain = errors.New("the connection ended before anything was acknowledged: if this broker takes no retained messages, set mqtt.retain to false")

func newSession(o Options) *Session {
	if o.ClearedAfter == 0 {
		o.ClearedAfter = clearedAfter
	}
	return &Session{options: o, acks: newAcks(), received: newReceived(), lost: make(chan error, 1)}
}

// Dial connects. It reads every secret and certificate anew, so a renewed file is used
// from the next connection on.
func Dial(ctx context.Context, o Options) (*Session, error) {
	s := newSession(o)
	options, err := s.clientOptions() //nolint:contextcheck // paho dials without a context; a timeout bounds it
	if err != nil {
		return nil, err
	}
	s.client = paho.NewClient(options)
	token := s.client.Connect()
	select {
	case <-token.Done():
	case <-ctx.Done():
		s.client.Disconnect(0)
		return nil, fmt.Errorf("connect to %s: %w", s, ctx.Err())
	}
	if err := token.Error(); err != nil {
		err = fmt.Errorf("connect to %s: %w", s, err)
		if o.Settings.Retain && strings.HasSuffix(err.Error(), "EOF") {
			err = fmt.Errorf("%w; %w", err, ErrNoRetain) // the will is retained too
		}
		return nil, err
	}
	return s, nil
}

func (s *Session) clientOptions() (*paho.ClientOptions, error) {
	c := s.options.Settings
	o := paho.NewClientOptions().
		AddBroker(s.options.Broker.URL).
		SetClientID(s.options.ClientID).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true). // otherwise each message has its own goroutine, and an older document may be handled last
		SetConnectTimeout(dialTimeout).
		SetWriteTimeout(writeTimeout).
		SetKeepAlive(c.KeepAlive).
		SetPingTimeout(c.KeepAlive / 2).
		SetProtocolVersion(4).
		SetStore(s.acks).
		SetCustomOpenConnectionFn(openLimited(s.options.Log)).
		SetConnectionLostHandler(func(_ paho.Client, err error) { s.lost <- err })
	if s.options.Will {
		o.SetWill(s.options.Root+message.TopicAvailability, message.Offline, 1, c.Retain)
	}
	if c.Username != "" {
		o.SetUsername(c.Username)
	}
	if c.PasswordFile != "" {
		password, err := credential.Read(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt.password_file: %w", err)
		}
		o.SetPassword(password)
	}
	tls, err := credential.TLS(c.CAFile, c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("mqtt.%w", err)
	}
	return o.SetTLSConfig(tls), nil
}

// String names the broker, for errors.
func (s *Session) String() string {
	if s.options.Broker.Name == "" {
		return s.options.Broker.URL
	}
	return s.options.Broker.Name + " at " + s.options.Broker.URL
}

// Publish publishes a message with QoS 1 and returns the id of its PUBACK, or 0 if it
// was not accepted. topic includes the root. paho's token does not tell about the
// PUBACK: see acks.
func (s *Session) Publish(topic string, retained bool, payload []byte) (id uint16) {
	retained = retained && s.options.Settings.Retain
	if token, ok := s.client.Publish(topic, 1, retained, payload).(*paho.PublishToken); ok {
		// paho writes in a goroutine of its own, which otherwise waits for all that the caller does next.
		runtime.Gosched()
		return token.MessageID()
	}
	return 0
}

// Acks returns the ids acknowledged since the last call.
func (s *Session) Acks() []uint16 { return s.acks.take() }

// Acked holds an element when Acks may return something.
func (s *Session) Acked() <-chan struct{} { return s.acks.changed }

// Lost delivers the error that ended the connection.
func (s *Session) Lost() <-chan error { return s.lost }

// LostError adds the broker to the reason of a connection's end.
func (s *Session) LostError(reason error) error {
	if reason == nil {
		reason = errors.New("no reason given")
	}
	return fmt.Errorf("connection to %s lost: %w", s, reason)
}

// Close ends the connection; grace is how long the DISCONNECT packet may take to be
// sent.
func (s *Session) Close(grace time.Duration) { s.client.Disconnect(uint(grace.Milliseconds())) }
