package mqtt

import (
	"fmt"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const root = "meltwatch/plant-1/f07/"

// pahoMessage is a message as paho passes it to a handler.
type pahoMessage struct {
	paho.Message
	topic string
}

func (m pahoMessage) Topic() string   { return m.topic }
func (m pahoMessage) Payload() []byte { return []byte(m.topic) }
func (m pahoMessage) Retained() bool  { return true }

// Topics under a wildcard, which other clients choose, do not fill the memory.
func TestTopicsUnderAWildcardAreNotStored(t *testing.T) {
	s := newSession(Options{Root: root})
	heard := 0
	hear := s.receiver("model/chunk/+", func(string, []byte, bool) { heard++ })
	for i := range 10_000 {
		hear(nil, pahoMessage{topic: fmt.Sprint(root, "model/chunk/", i)})
	}
	if heard != 10_000 || len(s.received.sums)+len(s.received.seen) > 0 {
		t.Errorf("%d received, %d topics stored", heard, len(s.received.sums)+len(s.received.seen))
	}
}
