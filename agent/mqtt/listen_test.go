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

// A broker that leaves a retained message out once has not cleared the topic; twice in a row
// it has.
func TestOneSilentRenewalClearsNothing(t *testing.T) {
	r := newReceived()
	hear := func(round uint64) { r.round = round; r.isNew("config/desired", []byte("seven"), true) }
	hear(1)
	if r.cleared("config/desired", 2) {
		t.Error("cleared after one silent round")
	}
	hear(3)
	if r.cleared("config/desired", 4) || !r.cleared("config/desired", 5) || r.cleared("config/desired", 6) {
		t.Error("want it cleared after the second silent round, once")
	}
	if !r.isNew("config/desired", []byte("seven"), true) {
		t.Error("the same document after the clearing is not passed on")
	}
}

// A renewal that the broker refuses is not a silent one.
func TestARefusedRenewalClearsNothing(t *testing.T) {
	r := newReceived()
	r.round = 1
	r.isNew("config/desired", []byte("seven"), true)
	for i, err := range []error{ErrDenied, errUnanswered} {
		r.round = uint64(2 + i)
		r.failed("config/desired", err)
	}
	r.round = 4
	if r.failed("config/desired", nil); r.cleared("config/desired", 4) {
		t.Error("cleared after one silent round and refused ones")
	}
	r.round = 5
	if r.failed("config/desired", nil); !r.cleared("config/desired", 5) {
		t.Error("not cleared after two silent rounds")
	}
}
