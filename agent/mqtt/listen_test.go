package mqtt

import (
	"fmt"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const root = "meltwatch/plant-1/f07/"

// spokenMessage is a message as paho hands it over.
type spokenMessage struct {
	paho.Message
	topic string
}

func (m spokenMessage) Topic() string   { return m.topic }
func (m spokenMessage) Payload() []byte { return []byte(m.topic) }
func (m spokenMessage) Retained() bool  { return true }

// Names chosen by anyone who may publish do not fill the memory.
func TestNamesOfTopicsAreNotKept(t *testing.T) {
	s := newSession(Options{Root: root})
	heard := 0
	hear := s.receiver("model/chunk/+", func(string, []byte, bool) { heard++ })
	for i := range 10_000 {
		hear(nil, spokenMessage{topic: fmt.Sprint(root, "model/chunk/", i)})
	}
	if heard != 10_000 || len(s.received.sums)+len(s.received.seen) > 0 {
		t.Errorf("%d heard, %d names kept", heard, len(s.received.sums)+len(s.received.seen))
	}
}
