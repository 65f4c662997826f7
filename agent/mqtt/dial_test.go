package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"meltwatch/config"
)

// heeded is an observer that remembers the last word.
type heeded struct {
	quiet
	mu    sync.Mutex
	fault error
}

func (h *heeded) OK() { h.set(nil) }

func (h *heeded) Fault(err error) { h.set(err) }

func (h *heeded) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = err
}

func (h *heeded) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fault
}

// try connects once, as meltwatch check does.
func try(t *testing.T, c config.MQTT) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return Try(ctx, c, root, slog.New(slog.DiscardHandler), quiet{})
}

// encrypted are the brokers with TLS: each listens where it says.
func encrypted(t *testing.T, a *authority, mutual bool) map[string]string {
	t.Helper()
	brokers := map[string]string{}
	for scheme, listen := range map[string]func(string) listeners.Listener{
		"ssl": func(address string) listeners.Listener {
			return listeners.NewTCP(listeners.Config{ID: "test", Address: address, TLSConfig: a.server(mutual)})
		},
		"wss": func(address string) listeners.Listener {
			return listeners.NewWebsocket(listeners.Config{ID: "test", Address: address, TLSConfig: a.server(mutual)})
		},
	} {
		b := brokerBehind(t, listen, new(auth.AllowHook))
		brokers[scheme+" at mochi"] = scheme + "://" + b.address
	}
	if address := mosquittoTLS(t, a, mutual); address != "" {
		brokers["ssl at mosquitto"] = "ssl://" + address
	}
	return brokers
}

// mosquittoTLS is Debian's broker with TLS; empty, and said so, where it is not
// installed.
func mosquittoTLS(t *testing.T, a *authority, mutual bool) (address string) {
	t.Helper()
	certificate, key := a.issue("broker")
	folder := t.TempDir()
	return mosquitto(t, fmt.Sprintf("cafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate %v\n",
		put(t, folder, "ca.pem", a.pem), put(t, folder, "broker.pem", certificate), put(t, folder, "broker.key", key), mutual))
}

// mosquitto starts the real broker with more lines of configuration.
func mosquitto(t *testing.T, more string) (address string) {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			t.Log("mosquitto is not installed: run make deps; left out")
			return ""
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\n%s", l.Addr().(*net.TCPAddr).Port, more)
	l.Close()
	if os.Getuid() == 0 {
		text += "user root\n" // else it could not read what only root may
	}
	cmd := exec.Command(program, "-c", put(t, t.TempDir(), "mosquitto.conf", []byte(text)))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed: that is its error
	})
	eventually(t, 20*time.Second, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

func TestBrokerWithTLS(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	folder := t.TempDir()
	ca, wrong := put(t, folder, "ca.pem", a.pem), put(t, folder, "wrong.pem", stranger.pem)
	for name, url := range encrypted(t, a, false) {
		t.Run(name, func(t *testing.T) {
			c := startSettings(url, 100)
			if err := try(t, c); err == nil || !strings.Contains(err.Error(), "unknown authority") {
				t.Errorf("without its authority: %v", err)
			}
			c.CAFile = wrong
			if err := try(t, c); err == nil || !strings.Contains(err.Error(), "unknown authority") {
				t.Errorf("with another authority: %v", err)
			}
			c.CAFile = ca
			if err := try(t, c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBrokerThatAsksForACertificate(t *testing.T) {
	a := newAuthority(t)
	folder := t.TempDir()
	certificate, key := a.issue("furnace-1")
	_, otherKey := a.issue("furnace-2")
	ca := put(t, folder, "ca.pem", a.pem)
	put(t, folder, "agent.pem", certificate)
	put(t, folder, "agent.key", key)
	t.Setenv("CREDENTIALS_DIRECTORY", folder)
	for name, url := range encrypted(t, a, true) {
		t.Run(name, func(t *testing.T) {
			c := startSettings(url, 100)
			c.CAFile = ca
			if err := try(t, c); err == nil {
				t.Error("let in without a certificate")
			}
			c.CertFile, c.KeyFile = "agent.pem", "agent.key" // as systemd credentials
			if err := try(t, c); err != nil {
				t.Error(err)
			}
			c.KeyFile = put(t, folder, "other.key", otherKey)
			if err := try(t, c); err == nil || !strings.Contains(err.Error(), "mqtt.cert_file and key_file") {
				t.Errorf("with another's key: %v", err)
			}
		})
	}
}

// The plant changes its authority, the broker's certificate and ours: an agent
// that was up all the while reads the new files when it connects next.
func TestRenewedCertificatesNeedNoRestart(t *testing.T) {
	a := newAuthority(t)
	folder := t.TempDir()
	renew := func(a *authority) {
		certificate, key := a.issue("furnace-1")
		put(t, folder, "ca.pem", a.pem)
		put(t, folder, "agent.pem", certificate)
		put(t, folder, "agent.key", key)
	}
	renew(a)
	signer := a
	b := brokerBehind(t, func(address string) listeners.Listener {
		return listeners.NewTCP(listeners.Config{ID: "test", Address: address, TLSConfig: signer.server(true)})
	}, new(auth.AllowHook))
	c := startSettings("ssl://"+b.address, 1000)
	c.CAFile, c.CertFile, c.KeyFile = folder+"/ca.pem", folder+"/agent.pem", folder+"/agent.key"
	agent := startBy(t, c, NewMemory(1000), quiet{})
	eventually(t, 20*time.Second, "online", func() bool { return b.retained(root+TopicAvailability) == "online" })
	b.down()
	signer = newAuthority(t)
	renew(signer)
	b.up()
	agent.second("normal")
	eventually(t, 30*time.Second, "online again, by the new authority", func() bool {
		return b.retained(root+TopicAvailability) == "online" && strings.Contains(b.retained(root+TopicState), "normal")
	})
}

func TestBrokerOverWebSocket(t *testing.T) {
	b := brokerBehind(t, func(address string) listeners.Listener {
		return listeners.NewWebsocket(listeners.Config{ID: "test", Address: address})
	}, new(auth.AllowHook))
	a := startAgent(t, "ws://"+b.address+"/mqtt", 1000)
	a.second("normal")
	eventually(t, 20*time.Second, "state", func() bool { return strings.Contains(b.retained(root+TopicState), "normal") })
}

// doorman lets in who knows the password of the moment.
type doorman struct {
	mochi.HookBase
	mu       sync.Mutex
	password string
	came     []string // client ids, in order
}

func (d *doorman) ID() string { return "doorman" }
func (d *doorman) Provides(what byte) bool {
	return what == mochi.OnConnectAuthenticate || what == mochi.OnACLCheck
}
func (d *doorman) OnACLCheck(*mochi.Client, string, bool) bool { return true }
func (d *doorman) OnConnectAuthenticate(c *mochi.Client, p packets.Packet) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.came = append(d.came, c.ID)
	return d.password == "" || string(p.Connect.Username) == "furnace-1" && string(p.Connect.Password) == d.password
}

func (d *doorman) visitors() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.came)
}

func plain(address string) listeners.Listener {
	return listeners.NewTCP(listeners.Config{ID: "test", Address: address})
}

func TestPasswordIsReadAtEachConnection(t *testing.T) {
	d := &doorman{password: "old"}
	b := brokerBehind(t, plain, d)
	folder := t.TempDir()
	c := startSettings(b.url(), 1000)
	c.Username, c.PasswordFile = "furnace-1", put(t, folder, "password", []byte("wrong\n"))
	watch := &heeded{}
	startBy(t, c, NewMemory(1000), watch)
	eventually(t, 10*time.Second, "a refusal", func() bool { return watch.last() != nil })
	if err := watch.last(); strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error repeats the password: %v", err)
	}
	put(t, folder, "password", []byte("old\n"))
	eventually(t, 20*time.Second, "online", func() bool { return b.retained(root+TopicAvailability) == "online" })
}

func severalSettings(urls ...string) config.MQTT {
	c := startSettings("", 1000)
	c.Brokers = map[string]config.Broker{}
	for i, url := range urls {
		c.Brokers[string(rune('a'+i))] = config.Broker{URL: url}
	}
	return c
}

func TestNextBrokerIsTriedAndTheFirstPreferred(t *testing.T) {
	first, second := newBroker(t), newBroker(t)
	first.down()
	a := startBy(t, severalSettings(first.url(), second.url()), NewMemory(1000), quiet{})
	a.second("normal")
	eventually(t, 10*time.Second, "online at the second", func() bool { return second.retained(root+TopicAvailability) == "online" })
	first.up()
	second.down()
	a.second("abnormal")
	eventually(t, 20*time.Second, "online at the first", func() bool {
		return first.retained(root+TopicAvailability) == "online" && strings.Contains(first.retained(root+TopicState), "abnormal")
	})
}

func TestBrokerThatAcknowledgesNothingIsLeftForTheNext(t *testing.T) {
	t.Parallel()
	deaf, _ := deafBroker(t)
	second := newBroker(t)
	a := startBy(t, severalSettings(deaf, second.url()), NewMemory(1000), quiet{})
	a.second("normal")
	eventually(t, 40*time.Second, "event at the second", func() bool { return len(seen(t, second, "event")) == 1 })
}

func TestRoundOfBrokers(t *testing.T) {
	r := round{brokers: []config.Named{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	var order []string
	var waits []bool
	for _, good := range []bool{false, false, false, false, true, false} {
		order = append(order, r.broker().Name)
		waits = append(waits, r.next(good) > 0)
	}
	if got := fmt.Sprint(order, waits); got != "[a b c a b a] [false false true false true false]" {
		t.Errorf("got %s", got)
	}
}

// Two boxes with one name: both say so, neither throws the other out any more.
func TestTwoAgentsOfOneNameSaySo(t *testing.T) {
	t.Parallel()
	d := &doorman{}
	b := brokerBehind(t, plain, d)
	watch := [2]*heeded{{}, {}}
	var agents [2]*agent
	c := startSettings(b.url(), 1000)
	c.KeepAlive = 10 * time.Second // a busy machine must not look like a fight
	for i := range agents {
		agents[i] = startBy(t, c, NewMemory(1000), watch[i])
	}
	ends := time.Now().Add(40 * time.Second)
	shared := func(i int) bool {
		err := watch[i].last()
		return err != nil && strings.Contains(err.Error(), "another agent")
	}
	for !(shared(0) && shared(1)) {
		if time.Now().After(ends) {
			t.Fatalf("not seen: %v, %v; clients %v", watch[0].last(), watch[1].last(), d.visitors())
		}
		for _, a := range agents {
			a.Health(Health{Agent: "test", Stamp: a.stamper.Stamp("health", time.Now())})
		}
		time.Sleep(300 * time.Millisecond)
	}
	eventually(t, 20*time.Second, "an event of each", func() bool {
		n := 0
		for _, topic := range []string{TopicEvent, topicHistory + TopicEvent} {
			for _, m := range b.on(root + topic) {
				if strings.Contains(m.payload, `"identity"`) {
					n++
				}
			}
		}
		return n >= 2
	})
	eventually(t, 20*time.Second, "one of them under an id of its own", func() bool {
		came := d.visitors()
		return slices.ContainsFunc(agents[:], func(a *agent) bool { return slices.Contains(came, "test-"+a.stamper.instance[:8]) })
	})
	time.Sleep(9 * time.Second) // longer than any wait
	before := len(d.visitors())
	time.Sleep(9 * time.Second)
	if after := d.visitors(); len(after) > before {
		t.Errorf("they still throw each other out: %v", after[before:])
	}
}

func TestPredecessorIsNoOtherAgent(t *testing.T) {
	b := newBroker(t)
	first := startAgent(t, b.url(), 1000)
	first.Health(Health{Agent: "test"})
	eventually(t, 10*time.Second, "health", func() bool { return b.retained(root+TopicHealth) != "" })
	first.stop()
	watch := &heeded{}
	second := startBy(t, startSettings(b.url(), 1000), NewMemory(1000), watch)
	second.Health(Health{Agent: "test"})
	eventually(t, 10*time.Second, "health of the second", func() bool {
		return strings.Contains(b.retained(root+TopicHealth), second.stamper.instance)
	})
	b.down()
	b.up() // its own health comes back to it, retained
	time.Sleep(2 * time.Second)
	if n := len(b.on(root + TopicEvent)); n != 0 || watch.last() != nil && strings.Contains(watch.last().Error(), "another agent") {
		t.Errorf("%d events, fault %v", n, watch.last())
	}
}

func TestErrorNamesTheBroker(t *testing.T) {
	if err := try(t, severalSettings("tcp://127.0.0.1:1")); err == nil || !strings.Contains(err.Error(), "a at tcp://127.0.0.1:1") {
		t.Fatalf("got %v", err)
	}
}

func TestTLSFilesThatAreWrongAreNamed(t *testing.T) {
	folder := t.TempDir()
	empty := put(t, folder, "empty", nil)
	for want, c := range map[string]config.MQTT{
		"mqtt.ca_file: holds no PEM":          {CAFile: empty},
		"mqtt.ca_file: read secret":           {CAFile: folder + "/none"},
		"mqtt.cert_file: read secret":         {CertFile: folder + "/none", KeyFile: empty},
		"mqtt.key_file: read secret":          {CertFile: empty, KeyFile: folder + "/none"},
		"mqtt.cert_file and key_file: tls: f": {CertFile: empty, KeyFile: empty},
	} {
		if _, err := tlsConfig(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if c, err := tlsConfig(config.MQTT{}); err != nil || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("got %v, %v", c, err)
	}
}
