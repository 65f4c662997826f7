package broker

import (
	"fmt"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

func connect(t *testing.T, url, name string, more func(*paho.ClientOptions)) paho.Client {
	t.Helper()
	options := paho.NewClientOptions().AddBroker(url).SetClientID(name).SetAutoReconnect(false)
	if more != nil {
		more(options)
	}
	client := paho.NewClient(options)
	await(t, client.Connect())
	return client
}

func await(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Errorf("no answer within 20 s, or %v", token.Error())
	}
}

// Under the race detector this fails with the library alone.
func TestRetainedMessagesAreWrittenAndReadAtOnce(t *testing.T) {
	server, url, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const rounds = 100
	var all sync.WaitGroup
	for i := range 2 {
		writer := connect(t, url, fmt.Sprintf("writer-%d", i), nil)
		defer writer.Disconnect(100)
		all.Go(func() {
			for n := range rounds {
				await(t, writer.Publish(fmt.Sprintf("site/%d/state", i), 1, true, fmt.Sprint(n)))
			}
		})
		reader := connect(t, url, fmt.Sprintf("reader-%d", i), nil)
		defer reader.Disconnect(100)
		all.Go(func() {
			for range rounds {
				await(t, reader.Subscribe("site/#", 1, func(paho.Client, paho.Message) {}))
				await(t, reader.Unsubscribe("site/#"))
			}
		})
	}
	all.Wait()
	for i := range 2 {
		if kept := server.Topics.Messages(fmt.Sprintf("site/%d/state", i)); len(kept) != 1 || string(kept[0].Payload) != fmt.Sprint(rounds-1) {
			t.Errorf("writer %d: the broker keeps %v", i, kept)
		}
	}
}

// A will is retained without being published; the broker serves on after it.
func TestWillIsRetained(t *testing.T) {
	server, url, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	connect(t, url, "box", func(o *paho.ClientOptions) { o.SetWill("site/box", "offline", 1, true) })
	box, ok := server.Clients.Get("box")
	if !ok {
		t.Fatal("the broker does not know the client")
	}
	box.Stop(fmt.Errorf("its cable is cut"))
	seen := make(chan string, 1)
	reader := connect(t, url, "reader", nil)
	defer reader.Disconnect(100)
	await(t, reader.Subscribe("site/+", 1, func(_ paho.Client, m paho.Message) { seen <- string(m.Payload()) }))
	select {
	case text := <-seen:
		if text != "offline" {
			t.Errorf("the will says %q", text)
		}
	case <-time.After(20 * time.Second):
		t.Error("no will within 20 s")
	}
	await(t, reader.Publish("site/other", 1, true, "on"))
}
