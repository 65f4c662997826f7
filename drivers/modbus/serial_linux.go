package modbus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"meltwatch/config"
)

// The serial port is opened here and not by the Modbus library's own handler,
// because that one sleeps 750 µs a character above 19,200 baud, which at 115,200
// is nine times the wire's time, and because a file opened without blocking
// keeps deadlines and can be closed from another goroutine.

var baudRates = map[int]uint32{
	1200: unix.B1200, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600,
	19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600,
	115200: unix.B115200, 230400: unix.B230400, 460800: unix.B460800, 921600: unix.B921600,
}

// openSerial opens the device for this process alone, sets it to raw bytes at the given
// rate and discards what its buffers hold.
func openSerial(path string, s config.Serial) (stream, error) {
	port, err := openTerminal(path)
	if err != nil {
		return nil, fmt.Errorf("open serial line %s: %w", path, err)
	}
	err = control(port, func(fd int) error {
		if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
			return fmt.Errorf("claim serial line %s: %w", path, err)
		}
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, rawTermios(s)); err != nil {
			return fmt.Errorf("set up serial line %s: %w", path, err)
		}
		return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH)
	})
	if err != nil {
		port.Close()
		return nil, err
	}
	return port, nil
}

// openTerminal opens only a terminal device: opening another file for writing, or
// another device at all, can have side effects (opening a watchdog starts it). The path
// may come from a remote document, so the file is checked first, and the same file is
// then opened even if the path has changed meanwhile.
func openTerminal(path string) (*os.File, error) {
	look, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(look) //nolint:errcheck // nothing was written
	var is unix.Stat_t
	if err := unix.Fstat(look, &is); err != nil {
		return nil, err
	}
	if is.Mode&unix.S_IFMT != unix.S_IFCHR || !isTerminal(is.Rdev) {
		return nil, errNoTerminal
	}
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", look), os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
}

var errNoTerminal = errors.New("not a serial port: set url to a terminal device, such as rtu:///dev/ttyUSB0")

// The major numbers of pseudo-terminals, which sysfs does not list (Linux,
// Documentation/admin-guide/devices.txt).
const firstPseudo, lastPseudo = 136, 143

// isTerminal reports whether a character device's driver is a terminal's.
func isTerminal(device uint64) bool {
	major, minor := unix.Major(device), unix.Minor(device)
	if major >= firstPseudo && major <= lastPseudo {
		return true
	}
	class, err := os.Readlink(fmt.Sprintf("/sys/dev/char/%d:%d/subsystem", major, minor))
	return err == nil && filepath.Base(class) == "tty"
}

func control(port *os.File, act func(fd int) error) error {
	raw, err := port.SyscallConn()
	if err != nil {
		return fmt.Errorf("reach serial line: %w", err)
	}
	var acted error
	if err := raw.Control(func(fd uintptr) { acted = act(int(fd)) }); err != nil {
		return fmt.Errorf("reach serial line: %w", err)
	}
	return acted
}

// rawTermios is a line that passes 8-bit bytes untouched: no echo, no line
// editing, no flow control, modem lines ignored. A byte with wrong parity
// arrives as it is; the frame's CRC finds it.
func rawTermios(s config.Serial) *unix.Termios {
	rate := baudRates[s.Baud]
	t := &unix.Termios{Cflag: unix.CREAD | unix.CLOCAL | unix.CS8 | rate, Ispeed: rate, Ospeed: rate}
	t.Cc[unix.VMIN] = 1
	if s.StopBits == 2 {
		t.Cflag |= unix.CSTOPB
	}
	switch s.Parity {
	case "even":
		t.Cflag |= unix.PARENB
	case "odd":
		t.Cflag |= unix.PARENB | unix.PARODD
	}
	return t
}

// input looks at what has arrived on a stream without waiting for it. It ignores faults,
// because the request that follows reports them. A stream without a descriptor has no
// input.
type input struct {
	raw    syscall.RawConn // nil without a descriptor
	buffer [512]byte
	atEnd  bool // the result of peekAt
	// look and drop are peekAt and discardFrom, made once so that a request allocates
	// nothing.
	look, drop func(fd uintptr) (done bool)
}

func newInput(s stream) *input {
	in := &input{}
	if conn, ok := s.(syscall.Conn); ok {
		if raw, err := conn.SyscallConn(); err == nil {
			in.raw = raw
		}
	}
	in.look, in.drop = in.peekAt, in.discardFrom
	return in
}

// ended reports, without consuming input, whether the other end has closed the connection. It
// is false for a stream that is not a socket.
func (in *input) ended() bool {
	in.atEnd = false
	if in.raw != nil {
		_ = in.raw.Read(in.look)
	}
	return in.atEnd
}

func (in *input) peekAt(fd uintptr) (done bool) {
	n, _, err := unix.Recvfrom(int(fd), in.buffer[:1], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	in.atEnd = n == 0 && err == nil || errors.Is(err, unix.ECONNRESET)
	return true
}

// discard discards input that arrived before the request: turn-around noise of an RS-485
// line, or the rest of a late reply. It stops after one buffer, so that a noisy line
// cannot block it.
func (in *input) discard() {
	if in.raw != nil {
		_ = in.raw.Read(in.drop)
	}
}

func (in *input) discardFrom(fd uintptr) (done bool) {
	_, _ = unix.Read(int(fd), in.buffer[:])
	return true
}
