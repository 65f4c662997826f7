package modbus

import (
	"bytes"
	"encoding/binary"
	"fmt"

	wire "github.com/goburrow/modbus"
)

func rtuFraming() framing {
	handler := wire.NewRTUClientHandler("")
	return framing{
		encode: func(unit byte, pdu *wire.ProtocolDataUnit) ([]byte, error) {
			handler.SlaveId = unit
			return handler.Encode(pdu)
		},
		find: findRTU,
		tell: tellRTU,
	}
}

const (
	rtuUnit = 1
	rtuCRC  = 2
)

// findRTU looks for the reply at every byte: an RTU frame has no mark of its
// beginning, and what comes before it may be a local echo of the request, another
// unit's frame, or noise of the line's turn-around. Only unit, function, length and
// CRC together make the reply. Each byte begins at most one checksum, of a length
// that the protocol bounds, so the work is linear.
func findRTU(asked question, seen []byte, from int) (found, error) {
	waiting := -1 // the first beginning whose frame has not wholly come
	for i := from; i < len(seen); i++ {
		pdu, complete := rtuAt(asked, seen[i:])
		if pdu != nil {
			return found{pdu: pdu, begin: i, end: i + rtuUnit + len(pdu) + rtuCRC}, nil
		}
		if !complete && waiting < 0 {
			waiting = i
		}
	}
	if waiting < 0 {
		waiting = len(seen)
	}
	return found{begin: waiting}, nil
}

// rtuAt is the reply's function and data if it stands at the beginning of b. When
// it does not, complete says that more bytes cannot change this.
func rtuAt(asked question, b []byte) (pdu []byte, complete bool) {
	if b[0] != asked.unit {
		return nil, true
	}
	if len(b) < rtuUnit+2 {
		return nil, false
	}
	length := answerPDU(asked, b[rtuUnit:])
	if length == 0 {
		return nil, true
	}
	if len(b) < rtuUnit+length+rtuCRC {
		return nil, false
	}
	if !hasCRC(b[:rtuUnit+length+rtuCRC]) {
		return nil, true
	}
	return b[rtuUnit : rtuUnit+length], true
}

// hasCRC reports whether a frame ends in the checksum of Serial Line V1.02
// §6.2.2, low byte first.
func hasCRC(frame []byte) bool {
	end := len(frame) - rtuCRC
	return checksum(frame[:end]) == binary.LittleEndian.Uint16(frame[end:])
}

func checksum(frame []byte) uint16 {
	sum := uint16(0xffff)
	for _, b := range frame {
		sum = sum>>8 ^ checksums[byte(sum)^b]
	}
	return sum
}

// checksums holds the checksum's step for each byte.
var checksums = func() (table [256]uint16) {
	for i := range table {
		sum := uint16(i)
		for range 8 {
			odd := sum & 1
			sum = sum>>1 ^ odd*0xa001
		}
		table[i] = sum
	}
	return table
}()

// tellRTU names the frames among the bytes by what they are, and counts the rest.
func tellRTU(asked question, seen []byte) (a account) {
	seen = seen[:min(len(seen), maxSeen)]
	dust := 0
	var first []byte
	for i := 0; i < len(seen); {
		if bytes.HasPrefix(seen[i:], asked.frame) {
			a.note("an echo of the request")
			i += len(asked.frame)
			continue
		}
		if frame := anyFrame(seen[i:]); frame != nil {
			a.note(nameFrame(asked, frame))
			i += len(frame)
			continue
		}
		if dust == 0 {
			first = seen[i:min(i+8, len(seen))]
		}
		dust++
		i++
	}
	if dust > 0 {
		a.note("bytes that make no frame")
		a.rest = nameDust(asked, first, dust)
	}
	return a
}

// anyFrame is the frame of a read, or of a refusal, of whatever unit that stands at
// the beginning of b; nil where none does.
func anyFrame(b []byte) []byte {
	if len(b) < rtuUnit+exceptionPDU+rtuCRC {
		return nil
	}
	lengths := []int{8, rtuUnit + exceptionPDU + int(b[2]) + rtuCRC} // a request, a reply
	if b[1]&exceptionBit != 0 {
		lengths = []int{rtuUnit + exceptionPDU + rtuCRC}
	}
	for _, length := range lengths {
		if length <= len(b) && hasCRC(b[:length]) {
			return b[:length]
		}
	}
	return nil
}

func nameFrame(asked question, frame []byte) string {
	pdu := frame[rtuUnit : len(frame)-rtuCRC]
	switch {
	case frame[0] != asked.unit:
		return fmt.Sprintf("a stray frame of unit id %d", frame[0])
	case len(frame) == 8 && pdu[0] == asked.Function:
		return fmt.Sprintf("a request of another master to unit %d", frame[0])
	default:
		return misfit(asked, pdu).Error()
	}
}

// nameDust describes bytes that make no frame: whether they look like a damaged
// reply.
func nameDust(asked question, first []byte, count int) string {
	if len(first) > rtuUnit+1 && first[0] == asked.unit {
		if length := answerPDU(asked, first[rtuUnit:]); length > 0 {
			whole := rtuUnit + length + rtuCRC
			if count < whole {
				return fmt.Sprintf("an answer cut short after %d of %d bytes", count, whole)
			}
			return fmt.Sprintf("an answer whose checksum (crc) is wrong, %d bytes", count)
		}
		if first[1] == asked.Function {
			return fmt.Sprintf("an answer that states %d bytes of registers where %d were asked, in %d bytes without a valid checksum", first[2], 2*asked.Quantity, count)
		}
	}
	return fmt.Sprintf("%d in all, first % x", count, first)
}
