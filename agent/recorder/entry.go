package recorder

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// Kind is the kind of an entry, the folder in its name.
type Kind string

// The kinds of entries.
const (
	Current Kind = "current" // CSV
	State   Kind = "state"   // JSON lines
	Events  Kind = "event"   // JSON lines
	Crop    Kind = "crop"    // PNG
	View    Kind = "view"    // JPEG
)

var extension = map[Kind]string{Current: ".csv", State: ".jsonl", Events: ".jsonl", Crop: ".png", View: ".jpg"}

// layout is the time in the names of entries, stamp that of segments.
const (
	layout = "20060102T150405.000Z"
	block  = 512 // bytes of a tar block
	// maxEntry bounds one entry, in bytes: a longer one is damage.
	maxEntry = 16 << 20
)

// Entry is one entry of a segment.
type Entry struct {
	Kind Kind
	// Time is the instant of a picture, or of the first record.
	Time time.Time
	// Segment is the file, Offset and Size where the content is in it, in bytes.
	Segment      string
	Offset, Size int64
}

// appendEntry appends an entry to a tar file in memory.
func appendEntry(to *bytes.Buffer, kind Kind, at time.Time, data []byte) error {
	w := tar.NewWriter(to)
	err := w.WriteHeader(&tar.Header{
		Name: string(kind) + "/" + at.UTC().Format(layout) + extension[kind],
		Mode: 0o640, Size: int64(len(data)), ModTime: later(at, time.Unix(0, 0)).Truncate(time.Second), Format: tar.FormatUSTAR,
		Gname: "crc32-" + strconv.FormatUint(uint64(crc32.ChecksumIEEE(data)), 16),
	})
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// later keeps instants before 1970, which a tar header cannot hold, out of it.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// trailer ends a tar file.
var trailer = make([]byte, 2*block)

// scan lists the intact entries of a segment of size bytes from an entry's begin on, and
// returns where the last of them ends. It reads headers only; with verify it reads everything and compares the
// CRCs. What follows the first damaged entry is not read.
func scan(r io.ReaderAt, begin, size int64, verify bool) (entries []Entry, end int64) {
	section := io.NewSectionReader(r, begin, size-begin)
	end = begin
	t := tar.NewReader(section)
	for {
		header, err := t.Next()
		if err != nil {
			return entries, end
		}
		offset, err := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return entries, end
		}
		offset += begin
		e, sum, err := parseHeader(header)
		if err != nil || offset+e.Size > size {
			return entries, end
		}
		e.Offset = offset
		if verify {
			hash := crc32.NewIEEE()
			if _, err := io.Copy(hash, t); err != nil || hash.Sum32() != sum {
				return entries, end
			}
		}
		entries = append(entries, e)
		end = min(offset+(e.Size+block-1)/block*block, size)
	}
}

var errEntry = errors.New("not an entry of a recording")

func parseHeader(h *tar.Header) (e Entry, sum uint32, err error) {
	folder, name := path.Split(h.Name)
	kind := Kind(strings.TrimSuffix(folder, "/"))
	suffix, known := extension[kind]
	text, isEntry := strings.CutSuffix(name, suffix)
	digits, summed := strings.CutPrefix(h.Gname, "crc32-")
	if !known || !isEntry || !summed || h.Typeflag != tar.TypeReg || h.Size > maxEntry {
		return e, 0, errEntry
	}
	at, err := time.Parse(layout, text)
	if err != nil {
		return e, 0, errEntry
	}
	crc, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return e, 0, errEntry
	}
	return Entry{Kind: kind, Time: at, Size: h.Size}, uint32(crc), nil
}

// Name is the entry's name in its tar file.
func (e Entry) Name() string {
	return string(e.Kind) + "/" + e.Time.UTC().Format(layout) + extension[e.Kind]
}
