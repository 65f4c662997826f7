package outbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// The layout of a segment, little-endian (drawn in docs/outbox-format.md):
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
	// segmentSize is the size, in bytes, at which a segment is closed and the next one
	// begun.
	segmentSize = 1 << 20
	// MaxRecord is the longest payload in bytes.
	MaxRecord = 256 << 10
	// readMost is an upper bound of a segment's size in bytes.
	readMost = segmentSize + frameHead + MaxRecord + headerSize
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func segmentHeader(class byte) []byte {
	return sealHeader(append([]byte(segmentMagic), segmentVersion, class))
}

func sealHeader(b []byte) []byte {
	return binary.LittleEndian.AppendUint16(b, uint16(crc32.Checksum(b, castagnoli)))
}

// checkHeader refuses an intact header of a later layout version, whose frames may have
// another meaning. After a damaged header the frames are still read.
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

// frame is the position of one intact record in a segment.
type frame struct {
	number     uint64
	start, end int // of its payload
}

// scanned is the result of reading a segment.
type scanned struct {
	frames []frame
	// whole is the length of the part before the first damage.
	whole int
	// spared reports whether intact frames follow the damage.
	spared bool
}

// scan finds every intact frame whose number is in [first, limit) and rises. After a
// damaged frame it searches for the next one at every byte, so only damaged records are
// lost. Its work is bounded for any input: a checksum is computed only if length and
// number are plausible, and the search computes checksums over at most a few times the
// segment's length.
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

// frameAt reads the frame at an offset; tried is the number of bytes in its checksum.
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
