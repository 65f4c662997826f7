package modbus

import (
	"fmt"
	"os"
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

func knownBaud(baud int) bool { _, ok := baudRates[baud]; return ok }

// openSerial opens the device for this process alone, sets it to raw bytes at
// the given rate and throws away what an earlier opening left in its buffers.
func openSerial(path string, s config.Serial) (stream, error) {
	port, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open serial line: %w", err)
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

// drain throws away bytes that arrived before anything was asked: turn-around
// noise of an RS-485 line, or the tail of a reply that came too late. It does
// not wait, and stops after one buffer so that a babbling line cannot hold it.
func drain(s stream) {
	conn, ok := s.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return // the request that follows meets the same fault and reports it
	}
	var dust [512]byte
	_ = raw.Read(func(fd uintptr) bool {
		_, _ = unix.Read(int(fd), dust[:])
		return true
	})
}
