package modbus

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"meltwatch/config"
)

type refusal struct {
	name  string
	kinds []string
	do    trick
	want  string
}

// refusals are devices that cannot be read. The error says what came, and never
// that nothing did.
var refusals = []refusal{
	{"transaction number one ahead", []string{schemeTCP}, func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		binary.BigEndian.PutUint16(good, binary.BigEndian.Uint16(good)+1)
		return good
	}, "answer has transaction number"},
	{"transaction number one behind", []string{schemeTCP}, func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		binary.BigEndian.PutUint16(good, binary.BigEndian.Uint16(good)-1)
		return good
	}, "an answer to an earlier request, with transaction number"},
	{"another unit", []string{schemeTCP}, func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		good[6] = 3
		return good
	}, "answer has unit id 3 where 7 was asked: set unit"},
	{"speaks RTU", []string{schemeTCP}, func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		return withCRC(append([]byte{7}, good[7:]...))
	}, "if the port speaks RTU, the url is rtuovertcp://"},
	{"speaks HTTP", []string{schemeTCP}, func(*device, io.ReadWriteCloser, []byte, []byte) []byte {
		return []byte("HTTP/1.1 400 Bad Request\r\n\r\n")
	}, "protocol id"},
	{"an echo alone", serials, func(_ *device, _ io.ReadWriteCloser, request, _ []byte) []byte { return request }, "an echo of the request"},
	{"a frame of unit 9 alone", serials, func(*device, io.ReadWriteCloser, []byte, []byte) []byte {
		return withCRC([]byte{9, 3, 2, 1, 2})
	}, "a stray frame of unit id 9"},
	{"speaks TCP", []string{schemeRTUTCP}, func(*device, io.ReadWriteCloser, []byte, []byte) []byte {
		return []byte{0, 1, 0, 0, 0, 5, 7, 3, 2, 1, 2}
	}, "bytes that make no frame, 11 in all"},
	{"garbage alone", serials, func(*device, io.ReadWriteCloser, []byte, []byte) []byte {
		return []byte{0xfe, 0xff, 0xfe}
	}, "bytes that make no frame, 3 in all, first fe ff fe"},
	{"babbles", serials, func(*device, io.ReadWriteCloser, []byte, []byte) []byte {
		return slices.Repeat([]byte{7, 3, 12}, 1000)
	}, "bytes without a valid answer"},
	{"half an answer", nil, half, "cut short after"},
	{"a checksum that is wrong", serials, func(_ *device, _ io.ReadWriteCloser, _, good []byte) []byte {
		good[len(good)-1] ^= 1
		return good
	}, "checksum (crc) is wrong"},
}

func (c refusal) named(t *testing.T, r Report) {
	t.Helper()
	if r.Err == nil {
		t.Fatal("a value was made of it")
	}
	if text := r.Err.Error(); !strings.Contains(text, c.want) || strings.Contains(text, "timeout") {
		t.Errorf("error %q\nwant %q, and no word of a timeout", text, c.want)
	}
}

func TestWhatCameIsNamed(t *testing.T) {
	for _, kind := range network {
		for _, c := range refusals {
			if len(c.kinds) > 0 && !slices.Contains(c.kinds, kind) {
				continue
			}
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, m := distant(kind)
					d.play(1<<30, c.do)
					_, reports := inBubble(t, d, map[string]config.Meter{"main": m}, 10*m.Period)
					if len(reports) < 4 {
						t.Errorf("%d reports", len(reports))
					}
					for _, r := range reports {
						c.named(t, r)
					}
				})
			})
		}
	}
}
