package config

import (
	"net"
	"net/netip"
)

// Metrics are served over HTTP to every client that reaches the address. It is set only on the box.
type Metrics struct {
	// Listen is an address and a port, such as 127.0.0.1:9469; empty serves nothing.
	Listen string `yaml:"listen"`
}

func (m Metrics) check(f report) {
	if m.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(m.Listen)
	if err == nil && host != "localhost" {
		_, err = netip.ParseAddr(host)
	}
	if err != nil || !validPort(port) {
		f("listen", "%q is invalid: give an IP address and a port, such as 127.0.0.1:9469", m.Listen)
	}
}
