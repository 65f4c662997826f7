package outbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// The layout of a segment, little-endian (docs/outbox-format.md draws it):
//
//	header  "MWOB"  version 1  class 1  check 2
//	frame   length 4  crc 4  number 8  payload length      … repeated
//
// check is the low half of the CRC-32C (Castagnoli) of the six bytes before it,
// crc the CRC-32C of length, number and payload. length is the payload's, 1 to
// MaxRecord bytes. Numbers rise from frame to frame, and from one segment to the
// next.
const (
	segmentMagic   = "MWOB"
	segmentVersion = 1
	segmentSuffix  = ".seg"
	damagedSuffix  = ".damaged"
	headerSize     = 8
	frameHead      = 16
	// segmentSize is where a segment is closed and the next begun, in bytes.
	segmentSize = 1 << 20
	// MaxRecord is the longest payload in bytes.
	MaxRecord = 256 << 10
	// readMost is more than any segment of ours can hold.
	readMost = segmentSize + frameHead + MaxRecord + headerSize
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func segmentHeader(class byte) []byte {
	return sealHeader(append([]byte(segmentMagic), segmentVersion, class))
}

func sealHeader(b []byte) []byte {
	return binary.LittleEndian.AppendUint16(b, uint16(crc32.Checksum(b, castagnoli)))
}

// checkHeader refuses a sound header of a later layout, whose frames may mean
// something else. A damaged header is no reason to give up what stands behind it.
func checkHeader(data []byte) error {
	if len(data) < headerSize || data[4] <= segmentVersion || !bytes.Equal(sealHeader(slices.Clone(data[:6])), data[:headerSize]) {
		return nil
	}
	return fmt.Errorf("layout version %d is newer than this program's %d: update meltwatch", data[4], segmentVersion)
}

// appendFrame adds one record's frame to b.
func appendFrame(b []byte, number uint64, payload []byte) []byte {
	var head [frameHead]byte
	binary.LittleEndian.PutUint32(head[0:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(head[8:], number)
	binary.LittleEndian.PutUint32(head[4:], frameCRC(head[:], payload))
	return append(append(b, head[:]...), payload...)
}

func frameCRC(head, payload []byte) uint32 {
	crc := crc32.Update(0, castagnoli, head[0:4])
	crc = crc32.Update(crc, castagnoli, head[8:16])
	return crc32.Update(crc, castagnoli, payload)
}

// frame is where one sound record stands in a segment's bytes.
type frame struct {
	number     uint64
	start, end int // of its payload
}

// scanned is what a segment's bytes hold.
type scanned struct {
	frames []frame
	// whole is the length of the part before the first unsound byte; beyond it
	// frames may follow that damage spared.
	whole int
	// spared says that they do.
	spared bool
}

// scan finds every sound frame whose number is in [first, limit) and rises. Past
// a bad one it looks for the next at every byte, so that damage costs the
// records it hit and no other. What it takes is bounded for any input: a
// checksum is tried only where length and number could be right, and while
// looking for at most a few times the segment's own length.
func scan(data []byte, first, limit uint64) scanned {
	s := scanned{whole: min(headerSize, len(data))}
	budget := 8 * len(data)
	lost := false
	for at := headerSize; at+frameHead < len(data) && budget > 0; {
		f, tried, ok := frameAt(data, at, first, limit)
		if lost {
			budget -= tried
		}
		if !ok {
			lost = true
			at++
			continue
		}
		s.frames = append(s.frames, f)
		first, at = f.number+1, f.end
		if lost {
			s.spared = true
		} else {
			s.whole = at
		}
	}
	return s
}

// frameAt reads the frame at an offset; tried is how many bytes it summed.
func frameAt(data []byte, at int, first, limit uint64) (f frame, tried int, ok bool) {
	head := data[at : at+frameHead]
	length := binary.LittleEndian.Uint32(head)
	number := binary.LittleEndian.Uint64(head[8:])
	room := len(data) - at - frameHead
	if length == 0 || length > MaxRecord || int(length) > room {
		return frame{}, 1, false
	}
	if number < first || number >= limit || number == math.MaxUint64 {
		return frame{}, 1, false
	}
	f = frame{number, at + frameHead, at + frameHead + int(length)}
	sum := frameCRC(head, data[f.start:f.end])
	return f, frameHead + int(length), sum == binary.LittleEndian.Uint32(head[4:])
}
