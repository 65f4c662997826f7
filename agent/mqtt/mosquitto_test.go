package mqtt

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

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
