package mqtt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"meltwatch/agent/message"
	"meltwatch/config"
)

// Probe connects to each broker once, publishes a message and waits until it comes
// back. It leaves nothing at the broker. The client id must differ from the running
// agent's, or the broker would disconnect the agent.
func Probe(ctx context.Context, settings config.MQTT, root string, log *slog.Logger) error {
	var faults []error
	for _, broker := range settings.Addresses() {
		s, err := Dial(ctx, Options{Settings: settings, Broker: broker, ClientID: settings.ClientID, Root: root, Log: log})
		if err == nil {
			err = s.probe(ctx)
			s.Close(0)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

const probeTimeout = 3 * time.Second

// probe publishes once on the agent's health topic, not retained, and waits until the
// message comes back. Agents and meltctl ignore it, because it names no instance.
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
	s.client.Publish(topic, 1, false, payload)
	timer := time.NewTimer(probeTimeout)
	defer timer.Stop()
	select {
	case <-back:
		return nil
	case <-timer.C:
		return NotDelivered(s.String(), topic)
	case err := <-s.lost:
		return s.LostError(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// NotDelivered returns the error of a broker that acknowledges messages and does not
// deliver them.
func NotDelivered(broker, topic string) error {
	return fmt.Errorf("%s acknowledges messages but does not deliver them: let this user write and read %s and the other topics beside it, in the broker's access list", broker, topic)
}
