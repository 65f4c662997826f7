package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"meltwatch/durable"
)

// The cursor stores which records are done. Layout, little-endian:
//
//	"MWCU"  version 1  zero 3
//	for event, state, current:  next 8  spans 4  { lo 8  hi 8 } × spans
//	crc 4   CRC-32C of all before
//
// next is the number of the class's next record. A number is never used twice, so that
// a new record cannot inherit the acknowledgement of an old one.
const (
	cursorName    = "cursor"
	cursorMagic   = "MWCU"
	cursorVersion = 1
	// maxSpans bounds the cursor, and the memory for acknowledgements out of order.
	// Beyond it the newest are discarded, and their records are sent again. A publisher
	// with a window of 32 messages leaves fewer gaps than that.
	maxSpans   = 128
	cursorMost = 8 + 3*(12+16*maxSpans) + 4
)

// mark is the cursor's part for one class.
type mark struct {
	next uint64
	done spans
}

func encodeCursor(marks [classes]mark) []byte {
	b := append([]byte(cursorMagic), cursorVersion, 0, 0, 0)
	for _, m := range marks {
		b = binary.LittleEndian.AppendUint64(b, m.next)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m.done)))
		for _, s := range m.done {
			b = binary.LittleEndian.AppendUint64(b, s.lo)
			b = binary.LittleEndian.AppendUint64(b, s.hi)
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errCursor = errors.New("cursor is damaged")

func decodeCursor(b []byte) (marks [classes]mark, err error) {
	if len(b) < 12 || string(b[:4]) != cursorMagic || b[4] != cursorVersion {
		return marks, errCursor
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) {
		return marks, errCursor
	}
	body = body[8:]
	for i := range marks {
		if marks[i], body, err = decodeMark(body); err != nil {
			return [classes]mark{}, err
		}
	}
	if len(body) > 0 {
		return [classes]mark{}, errCursor
	}
	return marks, nil
}

func decodeMark(b []byte) (m mark, rest []byte, err error) {
	if len(b) < 12 {
		return mark{}, nil, errCursor
	}
	m.next = binary.LittleEndian.Uint64(b)
	n := int(binary.LittleEndian.Uint32(b[8:]))
	b = b[12:]
	if n > maxSpans || n < 0 || len(b) < 16*n {
		return mark{}, nil, errCursor
	}
	last := uint64(0)
	for ; n > 0; n-- {
		s := span{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
		if s.lo >= s.hi || s.hi > m.next || s.lo < last {
			return mark{}, nil, errCursor
		}
		m.done.add(s.lo, s.hi)
		last, b = s.hi, b[16:]
	}
	return m, b, nil
}

// readCursor returns zero marks if the cursor is missing.
func readCursor(files durable.Files) ([classes]mark, error) {
	b, err := files.Read(cursorName, cursorMost+1)
	if errors.Is(err, fs.ErrNotExist) {
		return [classes]mark{}, nil
	}
	if err != nil {
		return [classes]mark{}, fmt.Errorf("read cursor: %w", err)
	}
	return decodeCursor(b)
}

// writeCursor replaces the cursor: a power cut leaves the old one or the new one.
func writeCursor(files durable.Files, marks [classes]mark) error {
	if err := durable.Replace(files, cursorName, encodeCursor(marks)); err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	return nil
}
