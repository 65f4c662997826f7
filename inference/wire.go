package inference

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// protoReader reads protobuf's wire format as a stream: it holds only the current
// string in memory.
type protoReader struct {
	in       *bufio.Reader
	at       int64
	reserved int64 // memory that names take, in bytes
}

var (
	errWire  = errors.New("is damaged: not a valid SavedModel")
	errLarge = fmt.Errorf("holds more names than %d MiB: the model is invalid", maxNames>>20)
)

const (
	// maxName bounds a name in a graph, in bytes.
	maxName = 4096
	// maxNames bounds the memory of all names, in bytes; those of the product take 0.3
	// MiB.
	maxNames = 32 << 20
	// maxNesting bounds nesting.
	maxNesting = 16
)

// varint reads a number. An overlong encoding is refused, because readers interpret
// it differently.
func (w *protoReader) varint() (uint64, error) {
	var value uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := w.in.ReadByte()
		if err != nil {
			return 0, errWire
		}
		w.at++
		if shift == 63 && b > 1 || shift > 0 && b == 0 {
			return 0, errWire
		}
		value |= uint64(b&0x7F) << shift
		if b < 0x80 {
			return value, nil
		}
	}
	return 0, errWire
}

func (w *protoReader) skip(n int64) error {
	for n > 0 {
		step, err := w.in.Discard(int(min(n, 1<<20)))
		n, w.at = n-int64(step), w.at+int64(step)
		if err != nil {
			return errWire
		}
	}
	return nil
}

func (w *protoReader) reserve(bytes int64) error {
	if w.reserved += bytes; w.reserved > maxNames {
		return errLarge
	}
	return nil
}

// text reads the string that ends at end.
func (w *protoReader) text(end int64) (string, error) {
	if end-w.at > maxName {
		return "", fmt.Errorf("holds a name of %d bytes, the most is %d", end-w.at, maxName)
	}
	if err := w.reserve(64 + end - w.at); err != nil {
		return "", err
	}
	buffer := make([]byte, end-w.at)
	n, err := io.ReadFull(w.in, buffer)
	w.at += int64(n)
	if err != nil {
		return "", errWire
	}
	return string(buffer), nil
}

// each calls visit with every text or message up to end: its field's number and
// its own end. What visit does not read is skipped.
func (w *protoReader) each(end int64, visit func(field uint64, end int64) error) error {
	for w.at < end {
		tag, err := w.varint()
		if err != nil {
			return err
		}
		var size uint64
		switch tag & 7 {
		case 0:
			if _, err := w.varint(); err != nil {
				return err
			}
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			if size, err = w.varint(); err != nil {
				return err
			}
		default: // groups, which are obsolete
			return errWire
		}
		if w.at > end || size > uint64(end-w.at) || tag>>3 == 0 || tag>>3 >= 1<<29 {
			return errWire
		}
		own := w.at + int64(size)
		if tag&7 == 2 {
			if err := visit(tag>>3, own); err != nil {
				return err
			}
		}
		if err := w.skip(own - w.at); err != nil {
			return err
		}
	}
	return nil
}
