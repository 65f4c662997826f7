//go:build linux

package modbus

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"meltwatch/config"
	"meltwatch/drivers/drivertest"
)

// newSerialDevice is a device at the far end of a pseudo-terminal, which stands
// for a serial line in everything but speed.
func newSerialDevice(t *testing.T) (d *device, url string) {
	t.Helper()
	line, url := drivertest.SerialLine(t)
	d = &device{kind: schemeSerial, dead: map[byte]bool{}}
	go d.serve(line)
	return d, url
}

func serialMeter(url string) config.Meter {
	m := meter(url, 7)
	m.Serial = config.Serial{Baud: 115200, DataBits: 8, Parity: "even", StopBits: 1}
	return m
}

func TestOneWrongReplySerial(t *testing.T) {
	for _, c := range wrong {
		if len(c.kinds) > 0 && c.kinds[len(c.kinds)-1] != schemeSerial {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, url := newSerialDevice(t)
			oneWrongReply(t, d, serialMeter(url), c.do, c.want)
		})
	}
}

func TestDeviceBehavioursSerial(t *testing.T) { testBehaviours(t, schemeSerial, serialDevice) }

func TestWhatCameIsNamedSerial(t *testing.T) {
	for _, c := range refusals {
		if len(c.kinds) > 0 && !slices.Contains(c.kinds, schemeSerial) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, m := serialDevice(t, schemeSerial)
			m.Period, m.Timeout = time.Second, 900*time.Millisecond // silence is what must not be heard
			d.play(1<<30, c.do)
			p := watch(t, map[string]config.Meter{"main": m})
			for range 2 {
				c.named(t, p.report(t))
			}
		})
	}
}

func serialDevice(t *testing.T, _ string) (*device, config.Meter) {
	d, url := newSerialDevice(t)
	return d, serialMeter(url)
}

// Nothing but a terminal device is opened: to open another device may start it, and
// to open a file for writing is to touch it.
func TestOnlyTerminalsAreOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "ttyUSB0")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, fifo, t.TempDir(), "/dev/null", "/dev/zero", "/proc/self/mem"} {
		port, err := openSerial(path, serialMeter("").Serial)
		if err == nil {
			port.Close()
		}
		if !errors.Is(err, errNoTerminal) {
			t.Errorf("%s: %v, want %v", path, err, errNoTerminal)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "as it was" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// The pace is the wire's, not a guess of so many microseconds a character.
func TestSerialPace(t *testing.T) {
	d, url := newSerialDevice(t)
	m := serialMeter(url)
	m.Period, m.Timeout = 5*time.Millisecond, 4*time.Millisecond
	p := watch(t, map[string]config.Meter{"main": m})
	start := time.Now()
	const polls = 200
	good := 0
	for range polls {
		if r := p.report(t); r.Err == nil {
			good++
		}
	}
	t.Logf("%d good polls of %d at 5 ms: %.0f a second", good, polls, float64(good)/time.Since(start).Seconds())
	if good == 0 {
		t.Error("no poll in time")
	}
	for range good {
		d.checkSample(t, <-p.samples)
	}
}

func TestSerialDeviceThatIsNotThere(t *testing.T) {
	p := watch(t, map[string]config.Meter{"main": serialMeter("rtu:///dev/no-such-line")})
	if r := p.report(t); r.Err == nil {
		t.Error("a line that does not exist gave a value")
	}
}

// A scanner does not take a late reply for the next one.
func TestScannerOutlivesALateReply(t *testing.T) {
	d, url := newSerialDevice(t)
	s, err := NewScanner(serialMeter(url), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const timeout = 200 * time.Millisecond
	wait := timeout + timeout/4 // and the second reply comes after the first
	d.play(2, func(_ *device, line io.ReadWriteCloser, _, good []byte) []byte {
		time.AfterFunc(wait, func() { _, _ = line.Write(good) })
		wait = timeout / 2
		return nil
	})
	q := Query{Unit: 1, Function: 3, Quantity: 2}
	if _, _, err := s.Read(t.Context(), timeout, q); err == nil {
		t.Fatal("a reply came that was held back")
	}
	data, took, err := s.Read(t.Context(), timeout, q)
	if err != nil || took <= 0 {
		t.Fatalf("%v after %v", err, took)
	}
	if value, err := Decode(data, float32At(0)); err != nil || value != 2 {
		t.Errorf("the value is that of request %v (%v), want 2", value, err)
	}
}
