package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/modelpackage"
	"meltwatch/simulator/broker/mosquittotest"
)

// silentDenial is an access list for mosquitto. The users "blind" and "deaf" may write
// documents and read a part of the topics.
var silentDenial = "topic read meltwatch/#\n" + // a box without a name
	"user desk\ntopic readwrite meltwatch/#\n" +
	"user site\ntopic readwrite meltwatch/p/#\n" +
	"user reader\ntopic read meltwatch/#\n" +
	"user blind\ntopic read meltwatch/+/+/availability\ntopic read meltwatch/+/+/config/reported\ntopic write meltwatch/+/+/config/desired\ntopic write meltwatch/+/+/model/desired\ntopic write meltwatch/+/+/config/reported\n" +
	"user deaf\ntopic read meltwatch/+/+/state\ntopic write meltwatch/#\n" +
	"user nobody\ntopic write meltwatch/nowhere\n"

// silentBroker is a mosquitto with that access list. as runs an operation as a user.
func silentBroker(t *testing.T, more string) (url string, as func(user string, operation func(context.Context, Fleet) error) (string, error)) {
	t.Helper()
	acl := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte(silentDenial), 0o600); err != nil {
		t.Fatal(err)
	}
	address := mosquittotest.Start(t, "", fmt.Sprintf("allow_anonymous true\nacl_file %s\n%s", acl, more))
	url = "tcp://" + address
	return url, func(user string, operation func(context.Context, Fleet) error) (string, error) {
		var out output
		err := operation(t.Context(), Fleet{Broker{URL: url, Username: user, Wait: 2 * time.Second}, &out})
		return out.String(), err
	}
}

// keep publishes a retained payload as the desk.
func keep(t *testing.T, url, topic, payload string) {
	t.Helper()
	b := Broker{URL: url, Username: "desk"}
	c, err := b.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	done(t, c.client.Publish(topic, 1, true, payload))
}

// keptAt returns what the broker keeps below the roots of agents and of names that no agent has.
func keptAt(t *testing.T, url string) map[string]string {
	t.Helper()
	b := Broker{URL: url, Username: "desk"}
	c, err := b.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	found := map[string]string{}
	for _, root := range []string{"p/f1", "p/f2", "p/" + triedFurnace} {
		topics, err := c.retained(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range topics {
			agent, rest, _ := splitTopic(topic)
			found[topic] = string(c.payload(agent, rest))
		}
	}
	return found
}

const (
	ofSeven = `{"revision":7,"config":{"state":{"hold_seconds":21}},"deadline_s":60}`
	desired = "meltwatch/p/f1/" + message.TopicConfigDesired
)

func setNew(agent string, revision int64) func(context.Context, Fleet) error {
	return func(ctx context.Context, f Fleet) error {
		how := Change{Stages: Stages{Sizes: "100%", Offline: true}, Revision: revision, Deadline: time.Minute}
		return f.SetConfig(ctx, agent, json.RawMessage(`{"state":{"hold_seconds":30}}`), how)
	}
}

// A broker that grants every subscription, and then does not deliver what its access list
// denies, does not make a change begin anew over the document in force.
func TestSilentDenialIsNotTakenForNoDocument(t *testing.T) {
	t.Parallel()
	url, as := silentBroker(t, "")
	for topic, payload := range map[string]string{
		"f1/" + message.TopicAvailability:   message.Offline,
		"f1/" + message.TopicState:          `{"state":"normal"}`,
		"f1/" + message.TopicConfigReported: `{"revision":6,"running_revision":6,"status":"applied"}`,
		"f1/" + message.TopicConfigDesired:  ofSeven,
		"f2/" + message.TopicAvailability:   message.Offline,
	} {
		keep(t, url, "meltwatch/p/"+topic, payload)
	}
	before := keptAt(t, url)
	heard := boxHears(t, url)
	for _, c := range []struct {
		name, user string
		do         func(context.Context, Fleet) error
		faults     []string
	}{
		{"set without the right to read", "blind", setNew("p/f1", 0), []string{
			"nothing is changed: nothing has arrived on config/desired of p/f1", "let this user read meltwatch/p/+/config/desired in", "or give --revision: 1 if the document is missing",
		}},
		{"set of all", "blind", setNew("all", 0), []string{"let this user read meltwatch/p/+/config/desired in"}},
		{"set without the right to write", "reader", setNew("p/f1", 0), []string{"the broker has not sent it back: let this user write meltwatch/+/+/config/desired in"}},
		{"set without that to write where nothing is", "reader", setNew("p/f2", 0), []string{"let this user write meltwatch/p/+/config/desired in"}},
		{"rollback of what is not seen", "blind", func(ctx context.Context, f Fleet) error {
			return f.RollBackConfig(ctx, "p/f1", Change{Stages: Stages{Sizes: "100%", Offline: true}, Revision: 9})
		}, []string{"let this user read meltwatch/p/+/config/desired in", "give the patch with config set"}},
		{"model", "blind", pushNew(t), []string{"let this user read meltwatch/p/+/model/desired in", "or give --revision"}},
		{"forget what may run", "deaf", func(ctx context.Context, f Fleet) error { return f.Forget(ctx, "all", false, false, nil) }, []string{
			"nothing has arrived on availability of p/f1", "let this user read meltwatch/p/+/availability in", "or give --force",
		}},
		{"list", "nobody", func(ctx context.Context, f Fleet) error { return f.List(ctx, "all", false) }, []string{
			"the broker knows 0: no retained message was found", "the right to read it is missing",
		}},
	} {
		said, err := as(c.user, c.do)
		for _, want := range c.faults {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q\n%s", c.name, err, want, said)
			}
		}
	}
	if now := keptAt(t, url); len(before) != 5 || !maps.Equal(now, before) {
		t.Errorf("the broker keeps %v, kept %v", now, before)
	}
	if topics := heard(); len(topics) != 0 {
		t.Errorf("the box hears %v", topics)
	}
	if said, err := as("blind", func(ctx context.Context, f Fleet) error { return f.PrintConfig(ctx, "p/f1") }); err != nil || !strings.Contains(said, `"note": "no retained message was found on config/desired`) {
		t.Errorf("get: %v\n%s", err, said)
	}
	// Who says which revision it is needs no right to read.
	if said, err := as("blind", setNew("p/f1", 8)); err != nil || !strings.Contains(keptAt(t, url)[desired], `"revision":8`) {
		t.Errorf("with --revision: %v\n%s", err, said)
	}
}

// Who may read gets the next revision, and the first one where nothing is, without a word
// more; also with the rights of one site alone.
func TestRevisionsFollowWhatTheBrokerKeeps(t *testing.T) {
	t.Parallel()
	url, as := silentBroker(t, "")
	for _, agent := range []string{"f1", "f2"} {
		keep(t, url, "meltwatch/p/"+agent+"/"+message.TopicAvailability, message.Offline)
	}
	keep(t, url, desired, ofSeven)
	heard := boxHears(t, url)
	for i, user := range []string{"desk", "site"} {
		if said, err := as(user, setNew("all", 0)); err != nil {
			t.Fatalf("%s: %v\n%s", user, err, said)
		}
		now := keptAt(t, url)
		for topic, revision := range map[string]int{desired: 8 + i, "meltwatch/p/f2/" + message.TopicConfigDesired: 1 + i} {
			if !strings.Contains(now[topic], fmt.Sprintf(`{"revision":%d,`, revision)) || topic == desired && i == 0 && !strings.Contains(now[topic], `"hold_seconds":21`) {
				t.Errorf("%s: %s has %s, want revision %d", user, topic, now[topic], revision)
			}
		}
		if len(now) != 4 {
			t.Errorf("the broker keeps %v", now)
		}
	}
	if topics := heard(); len(topics) != 2 { // a document of each
		t.Errorf("the box hears %v", topics)
	}
}

// A broker leaves out of a subscription of QoS 1 what its queue does not hold, in silence: no
// agent is passed by for that, and no document replaced by a first revision.
func TestASmallQueueHidesNoAgent(t *testing.T) {
	t.Parallel()
	url, as := silentBroker(t, "max_queued_messages 5\nmax_inflight_messages 5\n")
	client := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetUsername("desk").SetClientID("boxes"))
	done(t, client.Connect())
	t.Cleanup(func() { client.Disconnect(10) })
	const agents = 60
	for i := range agents {
		root := message.Root("p", fmt.Sprint("f", i))
		done(t, client.Publish(root+message.TopicAvailability, 1, true, message.Offline))
		done(t, client.Publish(root+message.TopicConfigDesired, 1, true, ofSeven))
	}
	said, err := as("desk", setNew("all", 0))
	if err != nil || strings.Count(said, ": done") != agents {
		t.Fatalf("%v\n%s", err, said)
	}
	said, err = as("desk", func(ctx context.Context, f Fleet) error { return f.PrintConfig(ctx, "all") })
	if err != nil || strings.Count(said, `"revision": 8`) != agents {
		t.Errorf("%v\n%s", err, said)
	}
}

// boxHears subscribes as a box does, and more. The result returns the topics of what has come
// since, without what the broker kept before.
func boxHears(t *testing.T, url string) func() []string {
	t.Helper()
	var mu sync.Mutex
	var topics []string
	client := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("box"))
	done(t, client.Connect())
	t.Cleanup(func() { client.Disconnect(10) })
	done(t, client.Subscribe("meltwatch/p/f1/#", 1, func(_ paho.Client, m paho.Message) {
		mu.Lock()
		defer mu.Unlock()
		if !m.Retained() {
			topics = append(topics, m.Topic())
		}
	}))
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return topics
	}
}

// pushNew rolls a package out that a new key has signed.
func pushNew(t *testing.T) func(context.Context, Fleet) error {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "some.model")
	if err := os.WriteFile(file, []byte("a package"), 0o600); err != nil {
		t.Fatal(err)
	}
	sha, size, err := modelpackage.Sum(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(message.SignedPackage{SHA256: sha, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".sig", text, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, f Fleet) error {
		return f.PushModel(ctx, "p/f1", RollOut{Stages: Stages{Sizes: "100%", Offline: true}, Package: file})
	}
}

// A reset clears the document in force, and knows that the broker has taken it.
func TestResetOfAModelThatIsDesired(t *testing.T) {
	t.Parallel()
	url, as := silentBroker(t, "")
	const model = "meltwatch/p/f1/" + message.TopicModelDesired
	keep(t, url, "meltwatch/p/f1/"+message.TopicAvailability, message.Offline)
	keep(t, url, model, `{"revision":3}`)
	reset := func(ctx context.Context, f Fleet) error {
		return f.ResetModel(ctx, "p/f1", Stages{Sizes: "100%", Offline: true})
	}
	if said, err := as("reader", reset); err == nil || keptAt(t, url)[model] == "" {
		t.Errorf("without the right to write: %v\n%s", err, said)
	}
	if said, err := as("desk", reset); err != nil || keptAt(t, url)[model] != "" {
		t.Errorf("%v, %q is kept\n%s", err, keptAt(t, url)[model], said)
	}
}
