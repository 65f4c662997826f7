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
		find:     findRTU,
		classify: classifyRTU,
	}
}

const (
	rtuUnit = 1
	rtuCRC  = 2
)

// findRTU tries every byte as the start of the reply: an RTU frame has no start mark,
// and it may follow a local echo of the request, another unit's frame, or turn-around
// noise. Unit, function, length and CRC together identify the reply. Each start costs
// at most one checksum of bounded length, so the work is linear.
func findRTU(req framedRequest, seen []byte, from int) (match, error) {
	waiting := -1 // start of the first incomplete frame
	for i := from; i < len(seen); i++ {
		pdu, complete := replyAt(req, seen[i:])
		if pdu != nil {
			return match{pdu: pdu, begin: i, end: i + rtuUnit + len(pdu) + rtuCRC}, nil
		}
		if !complete && waiting < 0 {
			waiting = i
		}
	}
	if waiting < 0 {
		waiting = len(seen)
	}
	return match{begin: waiting}, nil
}

// replyAt is the reply's function and data if b starts with it. Otherwise complete
// reports that more bytes cannot change that.
func replyAt(req framedRequest, b []byte) (pdu []byte, complete bool) {
	if b[0] != req.unit {
		return nil, true
	}
	if len(b) < rtuUnit+2 {
		return nil, false
	}
	length := replyLength(req, b[rtuUnit:])
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

// classifyRTU describes the frames among the bytes, and counts the bytes outside them.
func classifyRTU(req framedRequest, seen []byte) (a strayBytes) {
	seen = seen[:min(len(seen), maxReceived)]
	noise := 0
	var first []byte
	for i := 0; i < len(seen); {
		if bytes.HasPrefix(seen[i:], req.adu) {
			a.add("an echo of the request")
			i += len(req.adu)
			continue
		}
		if frame := frameAt(seen[i:]); frame != nil {
			a.add(describeFrame(req, frame))
			i += len(frame)
			continue
		}
		if noise == 0 {
			first = seen[i:min(i+8, len(seen))]
		}
		noise++
		i++
	}
	if noise > 0 {
		a.add("bytes that make no frame")
		a.detail = describeNoise(req, first, noise)
	}
	return a
}

// frameAt is the frame at the start of b, a read or an exception of any unit; nil if
// there is none.
func frameAt(b []byte) []byte {
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

func describeFrame(req framedRequest, frame []byte) string {
	pdu := frame[rtuUnit : len(frame)-rtuCRC]
	switch {
	case frame[0] != req.unit:
		return fmt.Sprintf("a stray frame of unit id %d", frame[0])
	case len(frame) == 8 && pdu[0] == req.Function:
		return fmt.Sprintf("a request of another master to unit %d", frame[0])
	default:
		return mismatch(req, pdu).Error()
	}
}

// describeNoise describes bytes outside frames, and whether they look like a damaged
// reply.
func describeNoise(req framedRequest, first []byte, count int) string {
	if len(first) > rtuUnit+1 && first[0] == req.unit {
		if length := replyLength(req, first[rtuUnit:]); length > 0 {
			whole := rtuUnit + length + rtuCRC
			if count < whole {
				return fmt.Sprintf("an answer cut short after %d of %d bytes", count, whole)
			}
			return fmt.Sprintf("an answer whose checksum (crc) is wrong, %d bytes", count)
		}
		if first[1] == req.Function {
			return fmt.Sprintf("an answer that states %d bytes of %s where %d were asked, in %d bytes without a valid checksum", first[2], req.objects(), req.dataLength(), count)
		}
	}
	return fmt.Sprintf("%d in all, first % x", count, first)
}
