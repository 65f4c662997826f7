package dataset

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// npyHeader is the length of a header, fixed so that the number of items can be
// written last. The format is NumPy's .npy version 1.0: magic, version, header
// length, a Python dictionary padded with blanks to a multiple of 64.
const npyHeader = 128

// npyFile writes an array of uint8 items of one shape. Their number is known only at the
// end.
type npyFile struct {
	file  *os.File
	out   *bufio.Writer
	shape []int // of one item
	items int
}

func createNPY(path string, shape ...int) (*npyFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create array: %w", err)
	}
	n := &npyFile{file: file, out: bufio.NewWriterSize(file, 1<<20), shape: shape}
	if _, err := n.out.Write(make([]byte, npyHeader)); err != nil {
		file.Close()
		return nil, fmt.Errorf("write array header: %w", err)
	}
	return n, nil
}

// append adds one item.
func (n *npyFile) append(item []byte) error {
	if _, err := n.out.Write(item); err != nil {
		return fmt.Errorf("write array: %w", err)
	}
	n.items++
	return nil
}

// close completes the header and closes the file.
func (n *npyFile) close() error {
	err := n.out.Flush()
	if err == nil {
		_, err = n.file.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = n.file.WriteString(n.header())
	}
	if e := n.file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("finish array: %w", err)
	}
	return nil
}

func (n *npyFile) header() string {
	dims := fmt.Sprint(n.items)
	for _, d := range n.shape {
		dims += fmt.Sprintf(", %d", d)
	}
	text := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }", dims)
	const prefix = "\x93NUMPY\x01\x00"
	length := npyHeader - len(prefix) - 2
	text += strings.Repeat(" ", length-len(text)-1) + "\n"
	return prefix + string([]byte{byte(length), byte(length >> 8)}) + text
}
