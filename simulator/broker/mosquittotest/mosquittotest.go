// Package mosquittotest runs the real mosquitto for tests.
package mosquittotest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Find returns the path of mosquitto; ok is false if it is not installed. Debian keeps it in
// a folder that is not on every user's path.
func Find() (program string, ok bool) {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, true
		}
	}
	return "", false
}

// Program is the path of mosquitto. It skips the test if mosquitto is not installed.
func Program(t *testing.T) string {
	t.Helper()
	program, ok := Find()
	if !ok {
		t.Skip("mosquitto is not installed: run make deps")
	}
	return program
}

// Start runs mosquitto at an address of the loopback interface, or at an unused one if it is
// empty, with more lines of configuration, and returns the address once it listens.
func Start(t *testing.T, address, more string) string {
	t.Helper()
	program := Program(t)
	if address == "" {
		address = unused(t)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	text := "listener " + port + " 127.0.0.1\n" + more
	if os.Getuid() == 0 {
		text += "\nuser root\n" // otherwise it could not read files of root
	}
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, program, file)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close() // it only showed that somebody listens
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("mosquitto does not listen: %v", err)
		}
	}
}

// Run runs mosquitto with a configuration file until the test ends. It does not wait until
// mosquitto listens.
func Run(t *testing.T, file string) {
	t.Helper()
	run(t, Program(t), file)
}

func run(t *testing.T, program, file string) {
	t.Helper()
	server := exec.CommandContext(t.Context(), program, "-c", file) // killed when the test ends
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() }) // killed: that is its error
}

func unused(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
