package modbus

import (
	"encoding/binary"
	"fmt"
	"io"

	wire "github.com/goburrow/modbus"
)

// framing is how a request and its reply are wrapped on one kind of line:
//
//	TCP   transaction(2) protocol(2)=0 length(2) unit(1) | function(1) data
//	RTU                                          unit(1) | function(1) data | CRC(2)
//
// Modbus Messaging on TCP/IP V1.0b §3.1; Serial Line V1.02 §2.5.1. RTU over TCP
// is RTU's frame on a TCP stream.
type framing struct {
	// Packager wraps, unwraps and compares what came back with what was asked.
	wire.Packager
	// address sets the unit that the next request goes to.
	address func(unit byte)
	// read takes exactly one frame off the line. It trusts no length that the
	// frame states beyond what the protocol allows.
	read func(io.Reader) ([]byte, error)
	// numbered frames carry a transaction number, so that a late reply betrays
	// itself. RTU's do not: see line.resync.
	numbered bool
}

func tcpFraming() framing {
	handler := wire.NewTCPClientHandler("")
	return framing{
		Packager: handler,
		address:  func(unit byte) { handler.SlaveId = unit },
		read:     readTCPFrame,
		numbered: true,
	}
}

func rtuFraming() framing {
	handler := wire.NewRTUClientHandler("")
	return framing{
		Packager: handler,
		address:  func(unit byte) { handler.SlaveId = unit },
		read:     readRTUFrame,
	}
}

const (
	tcpHeader = 7   // up to and including the unit
	maxPDU    = 253 // function and data, on every kind of line
)

func readTCPFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, tcpHeader, tcpHeader+maxPDU)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, fmt.Errorf("read reply header: %w", err)
	}
	// The length counts the unit, which the header already holds; a reply has
	// at least a function and one byte more.
	length := int(binary.BigEndian.Uint16(frame[4:])) - 1
	if length < 2 || length > maxPDU {
		return nil, fmt.Errorf("read reply: stated length %d is outside 2–%d", length, maxPDU)
	}
	frame = frame[:tcpHeader+length]
	if _, err := io.ReadFull(r, frame[tcpHeader:]); err != nil {
		return nil, fmt.Errorf("read reply of %d bytes: %w", length, err)
	}
	return frame, nil
}

const (
	rtuHead      = 3 // unit, function, and byte count or exception code
	rtuCRC       = 2
	exceptionBit = 0x80
)

func readRTUFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, rtuHead, rtuHead+maxPDU)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, fmt.Errorf("read reply header: %w", err)
	}
	length := rtuCRC
	if frame[1]&exceptionBit == 0 {
		length += int(frame[2])
	}
	if length > maxPDU {
		return nil, fmt.Errorf("read reply: stated length %d is above %d", length, maxPDU)
	}
	frame = frame[:rtuHead+length]
	if _, err := io.ReadFull(r, frame[rtuHead:]); err != nil {
		return nil, fmt.Errorf("read reply of %d bytes: %w", length, err)
	}
	return frame, nil
}
