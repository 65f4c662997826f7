package serve

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The encoder hands H.264 over inside FLV, because FLV says how long each
// picture is: the end of a picture in a bare stream shows only when the next one
// begins, a frame later. Of FLV (Video File Format Specification V10.1, annex E)
// only this is used:
//
//	file:  "FLV" 3 | version 1 | flags 1 | header length 4 | zero 4 | tags
//	tag:   kind 1 | data length 3 | time 4 | stream 3 | data | tag length 4
//	video: frame and codec 1 | what 1 | composition 3 | payload
//
// The payload is an AVCDecoderConfigurationRecord where what is 0, and NAL units
// each behind its length in four bytes where what is 1 (ISO/IEC 14496-15).
const (
	flvHeader    = 9
	flvTagHeader = 11
	flvLength    = 4
	videoTag     = 9
	videoHeader  = 5
	codecH264    = 7
	keyFrame     = 1
	// mostTag bounds a coded picture: many times what 720p needs.
	mostTag = 8 << 20
)

// coded is one tag of video: either the stream's parameters or a picture.
type coded struct {
	sps, pps []byte   // parameters
	units    [][]byte // NAL units of a picture, nil with parameters
	key      bool     // decodable without earlier pictures
}

// flvReader reads the video of a stream. What it returns belongs to the caller.
type flvReader struct{ in *bufio.Reader }

func newFLVReader(r io.Reader) (*flvReader, error) {
	f := &flvReader{in: bufio.NewReaderSize(r, 1<<16)}
	var header [flvHeader + flvLength]byte
	if _, err := io.ReadFull(f.in, header[:]); err != nil {
		return nil, fmt.Errorf("read stream header: %w", err)
	}
	if string(header[:3]) != "FLV" || binary.BigEndian.Uint32(header[5:]) != flvHeader {
		return nil, errors.New("read stream header: not FLV")
	}
	return f, nil
}

// next returns the next parameters or picture, io.EOF at the end.
func (f *flvReader) next() (coded, error) {
	for {
		kind, data, err := f.tag()
		if err != nil {
			return coded{}, err
		}
		if kind != videoTag || len(data) < videoHeader || data[0]&0x0f != codecH264 {
			continue
		}
		switch what, payload := data[1], data[videoHeader:]; what {
		case 0:
			return parameters(payload)
		case 1:
			units, err := splitUnits(payload)
			return coded{units: units, key: data[0]>>4 == keyFrame}, err
		}
	}
}

func (f *flvReader) tag() (kind byte, data []byte, err error) {
	var header [flvTagHeader]byte
	if _, err := io.ReadFull(f.in, header[:]); err != nil {
		return 0, nil, err
	}
	length := int(header[1])<<16 | int(binary.BigEndian.Uint16(header[2:]))
	if length > mostTag {
		return 0, nil, fmt.Errorf("read tag: %d bytes, at most %d are taken", length, mostTag)
	}
	data = make([]byte, length+flvLength)
	if _, err := io.ReadFull(f.in, data); err != nil {
		if errors.Is(err, io.EOF) { // a tag was announced
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, fmt.Errorf("read tag: %w", err)
	}
	return header[0], data[:length], nil
}

// parameters takes the first SPS and PPS out of a decoder configuration record:
//
//	version 1 | profile 3 | length size 1 | number of SPS 1 | {length 2, SPS} |
//	number of PPS 1 | {length 2, PPS}
func parameters(record []byte) (coded, error) {
	const fixed = 5
	bad := errors.New("read parameters: record cut short")
	if len(record) < fixed {
		return coded{}, bad
	}
	sps, rest, ok := firstSet(record[fixed:], 0x1f)
	if !ok {
		return coded{}, bad
	}
	pps, _, ok := firstSet(rest, 0xff)
	if !ok {
		return coded{}, bad
	}
	return coded{sps: sps, pps: pps}, nil
}

// firstSet reads a counted list of parameter sets and returns its first.
func firstSet(list []byte, mask byte) (first, rest []byte, ok bool) {
	if len(list) == 0 || list[0]&mask == 0 {
		return nil, nil, false
	}
	count, list := int(list[0]&mask), list[1:]
	for i := range count {
		if len(list) < 2 {
			return nil, nil, false
		}
		length := int(binary.BigEndian.Uint16(list))
		if len(list) < 2+length {
			return nil, nil, false
		}
		if i == 0 {
			first = list[2 : 2+length]
		}
		list = list[2+length:]
	}
	return first, list, len(first) > 0
}

// splitUnits splits length-prefixed NAL units.
func splitUnits(payload []byte) ([][]byte, error) {
	if len(payload) == 0 {
		return nil, errors.New("split picture: it is empty")
	}
	var units [][]byte
	for len(payload) > 0 {
		if len(payload) < 4 {
			return nil, errors.New("split picture: length cut short")
		}
		length := binary.BigEndian.Uint32(payload)
		payload = payload[4:]
		if length == 0 || uint64(length) > uint64(len(payload)) {
			return nil, fmt.Errorf("split picture: unit of %d bytes where %d are left", length, len(payload))
		}
		units = append(units, payload[:length])
		payload = payload[length:]
	}
	return units, nil
}
