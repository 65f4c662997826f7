package delivery

import (
	"net"
	"testing"

	"meltwatch/simulator/broker/mosquittotest"
)

// mosquitto starts the real broker with more lines of configuration. It returns "" if
// mosquitto is not installed.
func mosquitto(t *testing.T, more string) (address string) {
	t.Helper()
	address = freeAddress(t)
	if !mosquittoAt(t, address, more) {
		return ""
	}
	return address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// mosquittoAt starts mosquitto at an address. It returns false if mosquitto is not
// installed.
func mosquittoAt(t *testing.T, address, more string) bool {
	t.Helper()
	if _, ok := mosquittotest.Find(); !ok {
		t.Log("mosquitto is not installed: run make deps; left out")
		return false
	}
	mosquittotest.Start(t, address, "allow_anonymous true\n"+more)
	return true
}
