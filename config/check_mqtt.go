package config

import (
	"strings"
	"time"
)

func (m MQTT) check(f report) {
	m.checkBrokers(f)
	f.duration("keep_alive", m.KeepAlive, time.Second, time.Hour)
	f.between("queue", float64(m.Queue), 100, 1_000_000)
	f.between("history_rate", float64(m.HistoryRate), 1, 10_000)
	if len(m.ClientID) > 128 {
		f("client_id", "is over 128 bytes: shorten it")
	}
	// The protocol's limit is 65,535 bytes; cloud brokers use a few hundred at most.
	if len(m.Username) > 1024 {
		f.newer("username", "is over 1024 bytes: shorten it")
	}
	if m.PasswordFile != "" && m.Username == "" {
		f("username", "is missing though password_file is given")
	}
	if m.CertFile != "" && m.KeyFile == "" {
		f("key_file", "is missing though cert_file is given: the broker needs both")
	}
	if m.KeyFile != "" && m.CertFile == "" {
		f("cert_file", "is missing though key_file is given: the broker needs both")
	}
}

var brokerSchemes = []string{"tcp", "ssl", "ws", "wss"}

func (m MQTT) checkBrokers(f report) {
	if len(m.Brokers) == 0 {
		f.url("broker", m.Broker, brokerSchemes...)
	} else if m.Broker != "" {
		f("broker", "is given together with brokers: make it one of them")
	}
	for _, b := range m.Addresses() {
		key := "broker"
		if b.Name != "" {
			key = "brokers." + b.Name
			f.url(key+".url", b.URL, brokerSchemes...)
			f.between(key+".order", float64(m.Brokers[b.Name].Order), 0, 1000)
		}
		if strings.HasPrefix(b.URL, "ssl:") || strings.HasPrefix(b.URL, "wss:") {
			continue
		}
		// A fail-over must not leave TLS.
		if m.CAFile != "" {
			f("ca_file", "needs a broker of scheme ssl or wss: without TLS it would verify nothing; see %s", key)
		}
		if m.CertFile != "" {
			f("cert_file", "needs a broker of scheme ssl or wss: without TLS it is not used; see %s", key)
		}
	}
}
