package modbus

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

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
	// encode wraps a request to the unit.
	encode func(unit byte, pdu *wire.ProtocolDataUnit) ([]byte, error)
	// find looks for the reply in the bytes received since the request, starting at
	// from. An error means that the stream is out of step.
	find func(asked question, seen []byte, from int) (found, error)
	// tell describes what arrived instead of the reply, or before it.
	tell func(asked question, seen []byte) account
	// numbered frames carry a transaction number, so that a late reply betrays
	// itself. RTU's do not: see poller.sync.
	numbered bool
}

// question is a request as it went over the wire.
type question struct {
	Request
	unit  byte
	frame []byte
}

// found is the result of searching the bytes.
type found struct {
	// pdu is the reply's function and data, nil while it has not come.
	pdu []byte
	// begin and end are where the reply stands; until it has come, begin is where
	// the next look starts.
	begin, end int
	// remark is what is unusual about the reply; empty for nothing.
	remark string
}

// account describes bytes that are not the reply.
type account struct {
	// kinds are what was found, each once, in words that are the same each time.
	kinds []string
	// rest says more of the bytes that make no frame, empty where there are none.
	rest string
}

// note adds a kind; a few say enough.
func (a *account) note(kind string) {
	if len(a.kinds) < 4 && !slices.Contains(a.kinds, kind) {
		a.kinds = append(a.kinds, kind)
	}
}

func (a account) String() string {
	if a.rest == "" {
		return strings.Join(a.kinds, ", ")
	}
	return strings.Join(append(a.kinds[:len(a.kinds):len(a.kinds)], a.rest), ", ")
}

const (
	tcpHeader    = 7   // up to and including the unit
	maxPDU       = 253 // function and data, on every kind of line
	exceptionBit = 0x80
	exceptionPDU = 2
)

// answerPDU is how long the reply's function and data are if they begin as pdu
// does, 0 if they cannot be the reply: a read's has as many bytes as were asked for.
func answerPDU(asked question, pdu []byte) int {
	switch {
	case pdu[0] == asked.Function|exceptionBit:
		return exceptionPDU
	case pdu[0] == asked.Function && int(pdu[1]) == 2*int(asked.Quantity):
		return 2 + int(pdu[1])
	default:
		return 0
	}
}

func tcpFraming() framing {
	handler := wire.NewTCPClientHandler("")
	return framing{
		encode: func(unit byte, pdu *wire.ProtocolDataUnit) ([]byte, error) {
			handler.SlaveId = unit
			return handler.Encode(pdu)
		},
		find:     findTCP,
		tell:     tellTCP,
		numbered: true,
	}
}

// findTCP skips late replies to earlier requests. Any other mismatch ends the
// exchange at once.
func findTCP(asked question, seen []byte, from int) (found, error) {
	for {
		frame := seen[from:]
		if len(frame) < tcpHeader {
			return found{begin: from}, nil
		}
		if protocol := binary.BigEndian.Uint16(frame[2:]); protocol != 0 {
			return found{}, fmt.Errorf("answer has protocol id %d where Modbus TCP has 0: does the port speak RTU? then the url is rtuovertcp://", protocol)
		}
		// The length counts the unit, and a reply has a function and one byte at least.
		length := int(binary.BigEndian.Uint16(frame[4:]))
		if length < 3 || length > maxPDU+1 {
			return found{}, fmt.Errorf("answer has a stated length of %d bytes, outside 3–%d", length, maxPDU+1)
		}
		end := tcpHeader - 1 + length
		if len(frame) < end {
			return found{begin: from}, nil
		}
		if late(asked.frame, frame) {
			from += end
			continue
		}
		remark, err := fits(asked, frame[:end])
		return found{pdu: frame[tcpHeader:end], begin: from, end: from + end, remark: remark}, err
	}
}

// late reports whether the frame answers a request made before this one.
func late(request, frame []byte) bool {
	behind := binary.BigEndian.Uint16(request) - binary.BigEndian.Uint16(frame)
	return behind != 0 && behind < 1<<15
}

// fits checks a whole TCP frame against the request. A unit of 0 is accepted: devices
// that are their connection's only unit send it, and the transaction number already
// ties the reply to the request.
func fits(asked question, frame []byte) (remark string, err error) {
	if number, want := binary.BigEndian.Uint16(frame), binary.BigEndian.Uint16(asked.frame); number != want {
		return "", fmt.Errorf("answer has transaction number %d where %d was asked", number, want)
	}
	unit, pdu := frame[tcpHeader-1], frame[tcpHeader:]
	if unit != asked.unit && unit != 0 {
		return "", fmt.Errorf("answer has unit id %d where %d was asked: set unit to the device's own", unit, asked.unit)
	}
	if answerPDU(asked, pdu) != len(pdu) {
		return "", misfit(asked, pdu)
	}
	if unit != asked.unit {
		remark = fmt.Sprintf("answers have unit 0 where %d is asked", asked.unit)
	}
	return remark, nil
}

// misfit says why a well-formed frame's function and data are not the reply.
func misfit(asked question, pdu []byte) error {
	if function := pdu[0] &^ exceptionBit; function != asked.Function {
		return fmt.Errorf("answer is of function '%d' where %d was asked", function, asked.Function)
	}
	if pdu[0] == asked.Function && int(pdu[1]) == len(pdu)-2 {
		return fmt.Errorf("answer holds %d bytes of registers where %d were asked", len(pdu)-2, 2*asked.Quantity)
	}
	return fmt.Errorf("answer states %d bytes of registers and holds %d where %d were asked", pdu[1], len(pdu)-2, 2*asked.Quantity)
}

// tellTCP names replies to earlier requests, and one cut short.
func tellTCP(asked question, seen []byte) (a account) {
	for len(seen) >= tcpHeader && late(asked.frame, seen) {
		a.note("an answer to an earlier request")
		if a.rest == "" {
			a.rest = fmt.Sprintf("with transaction number %d where %d was asked",
				binary.BigEndian.Uint16(seen), binary.BigEndian.Uint16(asked.frame))
		}
		seen = seen[min(tcpHeader-1+int(binary.BigEndian.Uint16(seen[4:])), len(seen)):]
	}
	if len(seen) > 0 {
		a.rest = fmt.Sprintf("an answer cut short after %d bytes", len(seen))
	}
	return a
}
