package delivery

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
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
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			t.Log("mosquitto is not installed: run make deps; left out")
			return false
		}
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\n%s", port, more)
	if os.Getuid() == 0 {
		text += "user root\n" // otherwise it could not read files of root
	}
	cmd := exec.Command(program, "-c", put(t, t.TempDir(), "mosquitto.conf", []byte(text)))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // the error is the kill
	})
	eventually(t, 20*time.Second, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return true
}
