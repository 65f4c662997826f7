package mqtt

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"meltwatch/agent/message"
	"meltwatch/brokerlink"
	"meltwatch/config"
)

// Probe connects to a broker once, publishes a message and waits until it comes back. It
// leaves nothing at the broker. The client id must differ from the running agent's, or
// the broker would disconnect the agent.
func Probe(ctx context.Context, settings config.MQTT, broker config.NamedBroker, root string, log *slog.Logger) error {
	s, err := Dial(ctx, Options{Settings: settings, Broker: broker, ClientID: settings.ClientID, Root: root, Log: log})
	if err != nil {
		return err
	}
	defer s.Close(0)
	return s.probe(ctx)
}

// probeTimeout is how long the broker may take to acknowledge and to return a message.
const probeTimeout = 1500 * time.Millisecond

// probe publishes once on the agent's health topic, not retained, and waits until the
// message comes back. An agent must be allowed to write and read that topic in any case.
// Agents and meltctl ignore the message, because it names no instance.
func (s *Session) probe(ctx context.Context) error {
	topic := s.options.Root + message.TopicHealth
	payload := fmt.Sprintf(`{"v":1,"probe":%q}`, rand.Text())
	back := make(chan struct{}, 1)
	err := s.Subscribe(ctx, message.TopicHealth, func(_ string, received []byte, _ bool) {
		if string(received) == payload {
			select {
			case back <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe to %s at %s: %w", topic, s, err)
	}
	s.Publish(topic, false, []byte(payload))
	timer := time.NewTimer(probeTimeout)
	defer timer.Stop()
	select {
	case <-back:
		return nil
	case <-timer.C:
		return s.undelivered(ctx, topic, payload)
	case err := <-s.lost:
		return fmt.Errorf("publish on %s: %w: let this user write it in the broker's access list", topic, s.LostError(err))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// undelivered returns why a message did not come back.
func (s *Session) undelivered(ctx context.Context, topic, payload string) error {
	if len(s.Acks()) == 0 {
		return fmt.Errorf("%s did not acknowledge a message on %s within %s: let this user write it in the broker's access list, or restart the broker", s, topic, probeTimeout)
	}
	options, err := s.clientOptions() //nolint:contextcheck // as in Dial
	if err != nil {
		return err
	}
	s.Close(0) // a second connection of this client id would end this one
	writes, err := brokerlink.MayWrite(ctx, *options, s.options.Broker.URL, topic, payload)
	switch {
	case err != nil: // a broker without MQTT 5
		return NotDelivered(s.String(), topic)
	case writes:
		return fmt.Errorf("%s takes messages on %s but does not deliver them: let this user read it, in the broker's access list", s, topic)
	default:
		return fmt.Errorf("%s denies publishing on %s: let this user write it and the other topics beside it, in the broker's access list", s, topic)
	}
}

// NotDelivered returns the error of a broker that acknowledges messages and does not
// deliver them.
func NotDelivered(broker, topic string) error {
	return fmt.Errorf("%s acknowledges messages but does not deliver them: let this user write and read %s and the other topics beside it, in the broker's access list", broker, topic)
}
