package drivertest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// SerialLine is the device's end of a pseudo-terminal, which stands for a serial line in
// everything but speed. url is rtu:///dev/pts/N, its other end.
func SerialLine(t *testing.T) (line io.ReadWriteCloser, url string) {
	t.Helper()
	line, url, err := OpenSerialLine()
	if err != nil {
		t.Skipf("SKIPPED, no serial line is tested: %v", err)
	}
	t.Cleanup(func() {
		if err := line.Close(); err != nil {
			t.Error(err)
		}
	})
	return line, url
}

// OpenSerialLine opens such a line, outside a test. The caller closes it.
func OpenSerialLine() (line io.ReadWriteCloser, url string, err error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", err
	}
	number, err := unlock(master)
	if err != nil {
		master.Close()
		return nil, "", err
	}
	return patientLine{master}, fmt.Sprintf("rtu:///dev/pts/%d", number), nil
}

// unlock opens the pseudo-terminal's other end to all, and returns its number.
func unlock(master *os.File) (number int, err error) {
	raw, err := master.SyscallConn()
	if err != nil {
		return 0, err
	}
	var acted error
	err = raw.Control(func(fd uintptr) {
		if acted = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); acted == nil {
			number, acted = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	return number, errors.Join(err, acted)
}

// patientLine hides that the other end of a pseudo-terminal comes and goes.
type patientLine struct{ *os.File }

func (p patientLine) Read(b []byte) (int, error) {
	for {
		n, err := p.File.Read(b)
		if errors.Is(err, syscall.EIO) {
			time.Sleep(time.Millisecond) // nobody has it open
			continue
		}
		return n, err
	}
}
