package delivery

import (
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"
)

// listener is a subscriber of a broker in another process.
type listener struct {
	mu       sync.Mutex
	messages []received
}

func (l *listener) on(topic string) (found []received) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.messages {
		if m.topic == topic {
			found = append(found, m)
		}
	}
	return found
}

func listen(t *testing.T, address string) *listener {
	t.Helper()
	l := &listener{}
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("listener").SetAutoReconnect(false))
	if token := client.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("connect the subscriber: %v", token.Error())
	}
	t.Cleanup(func() { client.Disconnect(100) })
	token := client.Subscribe("#", 1, func(_ paho.Client, m paho.Message) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.messages = append(l.messages, received{m.Topic(), string(m.Payload()), m.Retained(), time.Now()})
	})
	if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("subscribe: %v", token.Error())
	}
	return l
}

// proxied returns a proxy to an address, to which a test can add faults.
func proxied(t *testing.T, upstream string) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "way", "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// Network faults on the way to a real broker while records are made: after the fault
// every event has arrived, in order, and no record waits.
func TestNetworkFaultLosesNoEvent(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of real time: left out by -short")
	}
	t.Parallel()
	for name, toxics := range map[string][]string{
		"latency":                  {`{"type":"latency","stream":"upstream","attributes":{"latency":400,"jitter":300}}`, `{"type":"latency","stream":"downstream","attributes":{"latency":200}}`},
		"2 KB a second":            {`{"type":"bandwidth","stream":"upstream","attributes":{"rate":2}}`},
		"nothing comes through":    {`{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`},
		"no answer comes back":     {`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`},
		"cut after a second":       {`{"type":"timeout","stream":"upstream","attributes":{"timeout":1000}}`},
		"reset after half of one":  {`{"type":"reset_peer","stream":"upstream","attributes":{"timeout":500}}`},
		"answers reset":            {`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":300}}`},
		"slow close":               {`{"type":"slow_close","stream":"downstream","attributes":{"delay":2000}}`, `{"type":"limit_data","stream":"downstream","attributes":{"bytes":60}}`},
		"cut after 3000 bytes":     {`{"type":"limit_data","stream":"upstream","attributes":{"bytes":3000}}`},
		"cut up into small pieces": {`{"type":"slicer","stream":"upstream","attributes":{"average_size":30,"size_variation":20,"delay":300}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := mosquitto(t, "max_queued_messages 0\n")
			if address == "" {
				t.Skip("mosquitto is not installed: run make deps")
			}
			heard := listen(t, address)
			way := proxied(t, address)
			a := startWith(t, "tcp://"+way.Listen, onDisk(t, t.TempDir()))
			work := func(seconds int) {
				for range seconds * 10 {
					a.second("normal")
					time.Sleep(100 * time.Millisecond)
				}
			}
			work(1)
			for _, toxic := range toxics {
				if _, err := way.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
					t.Fatal(err)
				}
			}
			work(4)
			way.Toxics.ResetToxics(t.Context())
			work(1)
			a.all(heard, 60*time.Second)
			a.stop()
		})
	}
}
