package localhttp

import "testing"

func TestKnownHosts(t *testing.T) {
	for host, known := range map[string]bool{
		"127.0.0.1:8480": true, "127.0.0.1": true, "[::1]:8480": true, "192.0.2.7:80": true, "localhost:8480": true, "LOCALHOST": true,
		"box7": true, "BOX7:8480": true, "box7.local:8480": true,
		"": false, "evil.example": false, "evil.example:8480": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "box7.evil.example": false,
	} {
		if knownHost(host, "box7") != known {
			t.Errorf("%q: known %t, want %t", host, !known, known)
		}
	}
	if knownHost(":80", "") {
		t.Error("no name is known on a machine without one")
	}
	for host, want := range map[string]bool{"127.0.0.1": true, "::1": true, "localhost": true, "127.8.8.8": true, "0.0.0.0": false, "192.0.2.1": false, "": false, "box7": false} {
		if Loopback(host) != want {
			t.Errorf("%q: loopback %t", host, !want)
		}
	}
}
