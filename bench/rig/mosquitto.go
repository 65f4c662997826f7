package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

var errNoMosquitto = errors.New("mosquitto is not installed: run make deps")

// Mosquitto is the broker of most plants, as a process of its own.
type Mosquitto struct {
	Address string
	process *exec.Cmd
}

// StartMosquitto starts a broker with its files in folder, and with more lines in its
// configuration.
func StartMosquitto(ctx context.Context, folder string, more ...string) (*Mosquitto, error) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			return nil, errNoMosquitto
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address, port := l.Addr().String(), l.Addr().(*net.TCPAddr).Port
	l.Close()
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n", port)
	if os.Getuid() == 0 {
		text += "user root\n" // otherwise it drops root's rights and cannot read its file
	}
	text += strings.Join(more, "")
	path := filepath.Join(folder, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	m := &Mosquitto{Address: address, process: exec.Command(program, "-c", path)} //nolint:noctx // stop ends it
	if err := m.process.Start(); err != nil {
		return nil, fmt.Errorf("start mosquitto: %w", err)
	}
	return m, errors.Join(reachable(ctx, address))
}

// PID is the number of the broker's process.
func (m *Mosquitto) PID() int { return m.process.Process.Pid }

// URL is the broker's address for clients.
func (m *Mosquitto) URL() string { return "tcp://" + m.Address }

// reachable waits until a server listens on address.
func reachable(ctx context.Context, address string) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("nothing listens on %s: %w", address, err)
		}
	}
}

// Stop kills the broker.
func (m *Mosquitto) Stop() error {
	if err := m.process.Process.Kill(); err != nil {
		return fmt.Errorf("end mosquitto: %w", err)
	}
	_ = m.process.Wait() // its error is the kill
	return nil
}
