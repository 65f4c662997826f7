package broker

import (
	"fmt"
	"net"
	neturl "net/url"
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
	var cable net.Conn
	connect(t, url, "box", func(o *paho.ClientOptions) {
		o.SetWill("site/box", "offline", 1, true)
		o.SetCustomOpenConnectionFn(func(u *neturl.URL, _ paho.ClientOptions) (c net.Conn, err error) {
			cable, err = net.Dial("tcp", u.Host)
			return cable, err
		})
	})
	cable.Close()
	seen := make(chan string, 8) // the will twice, if it is retained and published as the reader comes
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

// Clients that go write to the list of clients; the library's own Close hangs between them.
func TestCloseWhileClientsGo(t *testing.T) {
	for range 20 {
		server, _, err := Local()
		if err != nil {
			t.Fatal(err)
		}
		var begun, going sync.WaitGroup
		end := make(chan struct{})
		for range 4 {
			begun.Add(1)
			going.Go(func() {
				for first := true; ; first = false {
					server.Clients.Delete("somebody")
					if first {
						begun.Done()
					}
					select {
					case <-end:
						return
					default:
					}
				}
			})
		}
		begun.Wait()
		closed := make(chan error, 1)
		go func() { closed <- server.Close() }()
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("not closed within 20 s")
		}
		close(end)
		going.Wait()
	}
}

func TestSubscriberReceivesWhatItsFilterMatches(t *testing.T) {
	server, url, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan string, 8)
	client, err := Subscribe(url, "subscriber", "a/#", func(topic string, payload []byte) { received <- topic + " " + string(payload) })
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"b/x", "a/x", "a/y/z"} {
		if err := server.Publish(topic, []byte("1"), false, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a/x 1", "a/y/z 1"} {
		select {
		case got := <-received:
			if got != want {
				t.Errorf("received %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q did not arrive", want)
		}
	}
	client.Disconnect(100)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Subscribe(url, "late", "a/#", func(string, []byte) {}); err == nil {
		t.Error("subscribed at a broker that has closed")
	}
}
