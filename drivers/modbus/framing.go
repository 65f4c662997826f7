package modbus

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	wire "github.com/goburrow/modbus"
)

// framing is the frame around a request and its reply on one kind of line:
//
//	TCP   transaction(2) protocol(2)=0 length(2) unit(1) | function(1) data
//	RTU                                          unit(1) | function(1) data | CRC(2)
//
// Modbus Messaging on TCP/IP V1.0b §3.1; Serial Line V1.02 §2.5.1. RTU over TCP
// is RTU's frame on a TCP stream.
type framing struct {
	// encode wraps a request to the unit.
	encode func(unit byte, pdu *wire.ProtocolDataUnit) ([]byte, error)
	// find searches the bytes received since the request for the reply, from the given
	// offset. An error means that the stream is out of step.
	find func(req framedRequest, seen []byte, from int) (match, error)
	// classify describes the bytes that arrived instead of the reply, or before it.
	classify func(req framedRequest, seen []byte) strayBytes
	// numbered frames carry a transaction number, which identifies a late reply. RTU's
	// do not: see poller.sync.
	numbered bool
}

// framedRequest is a request as it went over the wire.
type framedRequest struct {
	request
	unit byte
	adu  []byte
}

// match is the result of a search for the reply.
type match struct {
	// pdu is the reply's function and data, nil until it has arrived.
	pdu []byte
	// begin and end bound the reply; until it has arrived, begin is where the next
	// search starts.
	begin, end int
	// quirk is what is unusual about the reply, empty if nothing is.
	quirk string
}

// strayBytes describes bytes that are not the reply.
type strayBytes struct {
	// kinds are the distinct kinds found, in fixed words, so that each is logged once.
	kinds []string
	// detail describes the bytes outside frames, empty if there are none.
	detail string
}

// add records a kind; four are enough.
func (a *strayBytes) add(kind string) {
	if len(a.kinds) < 4 && !slices.Contains(a.kinds, kind) {
		a.kinds = append(a.kinds, kind)
	}
}

func (a strayBytes) String() string {
	if a.detail == "" {
		return strings.Join(a.kinds, ", ")
	}
	return strings.Join(append(a.kinds[:len(a.kinds):len(a.kinds)], a.detail), ", ")
}

const (
	tcpHeader    = 7   // up to and including the unit
	maxPDU       = 253 // function and data, on every kind of line
	exceptionBit = 0x80
	exceptionPDU = 2
)

// replyLength is the length of the reply's function and data, given their first bytes;
// 0 if they are not the reply: a read's holds as many bytes as the request asked for.
func replyLength(req framedRequest, pdu []byte) int {
	switch {
	case pdu[0] == req.Function|exceptionBit:
		return exceptionPDU
	case pdu[0] == req.Function && int(pdu[1]) == req.dataLength():
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
		classify: classifyTCP,
		numbered: true,
	}
}

// findTCP skips late replies to earlier requests. Any other mismatch ends the
// exchange at once.
func findTCP(req framedRequest, seen []byte, from int) (match, error) {
	for {
		frame := seen[from:]
		if len(frame) < tcpHeader {
			return match{begin: from}, nil
		}
		if protocol := binary.BigEndian.Uint16(frame[2:]); protocol != 0 {
			return match{}, fmt.Errorf("answer has protocol id %d where Modbus TCP has 0: if the port speaks RTU, the url is rtuovertcp://", protocol)
		}
		// The length counts the unit, and a reply has a function and one byte at least.
		length := int(binary.BigEndian.Uint16(frame[4:]))
		if length < 3 || length > maxPDU+1 {
			return match{}, fmt.Errorf("answer has a stated length of %d bytes, outside 3–%d", length, maxPDU+1)
		}
		end := tcpHeader - 1 + length
		if len(frame) < end {
			return match{begin: from}, nil
		}
		if isLate(req.adu, frame) {
			from += end
			continue
		}
		remark, err := checkReply(req, frame[:end])
		return match{pdu: frame[tcpHeader:end], begin: from, end: from + end, quirk: remark}, err
	}
}

// isLate reports whether the frame answers a request made before this one.
func isLate(request, frame []byte) bool {
	behind := binary.BigEndian.Uint16(request) - binary.BigEndian.Uint16(frame)
	return behind != 0 && behind < 1<<15
}

// checkReply checks a whole TCP frame against the request. A unit of 0 is accepted: devices
// that are their connection's only unit send it, and the transaction number already
// ties the reply to the request.
func checkReply(req framedRequest, frame []byte) (remark string, err error) {
	if number, want := binary.BigEndian.Uint16(frame), binary.BigEndian.Uint16(req.adu); number != want {
		return "", fmt.Errorf("answer has transaction number %d where %d was asked", number, want)
	}
	unit, pdu := frame[tcpHeader-1], frame[tcpHeader:]
	if unit != req.unit && unit != 0 {
		return "", fmt.Errorf("answer has unit id %d where %d was asked: set unit to the device's own", unit, req.unit)
	}
	if replyLength(req, pdu) != len(pdu) {
		return "", mismatch(req, pdu)
	}
	if unit != req.unit {
		remark = fmt.Sprintf("answers have unit 0 where %d is asked", req.unit)
	}
	return remark, nil
}

// mismatch is the reason why a well-formed frame is not the reply.
func mismatch(req framedRequest, pdu []byte) error {
	if function := pdu[0] &^ exceptionBit; function != req.Function {
		return fmt.Errorf("answer is of function '%d' where %d was asked", function, req.Function)
	}
	if pdu[0] == req.Function && int(pdu[1]) == len(pdu)-2 {
		return fmt.Errorf("answer holds %d bytes of %s where %d were asked", len(pdu)-2, req.objects(), req.dataLength())
	}
	return fmt.Errorf("answer states %d bytes of %s and holds %d where %d were asked", pdu[1], req.objects(), len(pdu)-2, req.dataLength())
}

// classifyTCP recognizes replies to earlier requests, and a truncated one.
func classifyTCP(req framedRequest, seen []byte) (a strayBytes) {
	for len(seen) >= tcpHeader && isLate(req.adu, seen) {
		a.add("an answer to an earlier request")
		if a.detail == "" {
			a.detail = fmt.Sprintf("with transaction number %d where %d was asked",
				binary.BigEndian.Uint16(seen), binary.BigEndian.Uint16(req.adu))
		}
		seen = seen[min(tcpHeader-1+int(binary.BigEndian.Uint16(seen[4:])), len(seen)):]
	}
	if len(seen) > 0 {
		a.detail = fmt.Sprintf("an answer cut short after %d bytes", len(seen))
	}
	return a
}
