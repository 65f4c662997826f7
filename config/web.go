package config

import (
	"net"
	"net/netip"
)

// Web is the local page. It is set only on the box.
type Web struct {
	// Listen is an address and a port, such as 127.0.0.1:8480; empty serves no page.
	Listen string `yaml:"listen"`
	// PasswordFile holds the hash of the page's password, as `meltwatch password` prints
	// it; a bare name is a systemd credential. Without it the page only shows, and only
	// to this machine.
	PasswordFile string `yaml:"password_file"`
}

func (w Web) check(f report) {
	if w.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(w.Listen)
	var address netip.Addr
	if err == nil && host != "localhost" {
		address, err = netip.ParseAddr(host)
	}
	switch {
	case err != nil || !validPort(port):
		f("listen", "%q is invalid: give an IP address and a port, such as 127.0.0.1:8480", clip(w.Listen))
	case host != "localhost" && !address.IsLoopback() && w.PasswordFile == "":
		f("password_file", "is missing: %s is reachable from other machines; make a hash with meltwatch password, or listen on 127.0.0.1", clip(w.Listen))
	}
}
