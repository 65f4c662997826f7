package delivery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"meltwatch/agent/message"
)

// encrypted starts the brokers with TLS and returns their URLs.
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

// mosquittoTLS starts mosquitto with TLS. It returns "" if mosquitto is not installed.
func mosquittoTLS(t *testing.T, a *authority, mutual bool) (address string) {
	t.Helper()
	certificate, key := a.issue("broker")
	folder := t.TempDir()
	return mosquitto(t, fmt.Sprintf("cafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate %v\n",
		put(t, folder, "ca.pem", a.pem), put(t, folder, "broker.pem", certificate), put(t, folder, "broker.key", key), mutual))
}

func TestBrokerWithTLS(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	folder := t.TempDir()
	ca, wrong := put(t, folder, "ca.pem", a.pem), put(t, folder, "wrong.pem", stranger.pem)
	for name, url := range encrypted(t, a, false) {
		t.Run(name, func(t *testing.T) {
			c := startSettings(url, 100)
			if err := try(t, c); err == nil || !strings.Contains(err.Error(), "unknown authority") {
				t.Errorf("without the authority: %v", err)
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

// The plant replaces its authority, the broker's certificate and ours. A running agent
// reads the new files at its next connection.
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
	eventually(t, 20*time.Second, "online", func() bool { return b.retained(root+message.TopicAvailability) == "online" })
	b.down()
	signer = newAuthority(t)
	renew(signer)
	b.up()
	agent.second("normal")
	eventually(t, 30*time.Second, "online again, by the new authority", func() bool {
		return b.retained(root+message.TopicAvailability) == "online" && strings.Contains(b.retained(root+message.TopicState), "normal")
	})
}
