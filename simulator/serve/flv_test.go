package serve

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stream is a file of three tags: parameters, a key picture of two units, and
// something that is not video.
var stream = unhex(`464c5601 01 00000009 00000000
	09 000013 00000000 000000  17 00 000000  01 42c01f ff e1 0002 6742 01 0001 68      0000001e
	09 000010 00000000 000000  17 01 000000  00000002 6588 00000001 41                 0000001b
	12 000001 00000000 000000  00                                                      0000000c
	09 00000a 00002800 000000  27 01 000000  00000001 21                               00000015`)

func unhex(text string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil // the tests that read it then fail
	}
	return b
}

func TestTheStreamYieldsParametersThenPictures(t *testing.T) {
	r, err := newFLVReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	want := []coded{
		{sps: []byte{0x67, 0x42}, pps: []byte{0x68}},
		{units: [][]byte{{0x65, 0x88}, {0x41}}, key: true},
		{units: [][]byte{{0x21}}},
	}
	for i, w := range want {
		got, err := r.next()
		if err != nil {
			t.Fatalf("tag %d: %v", i, err)
		}
		if diff := cmp.Diff(w, got, cmp.AllowUnexported(coded{})); diff != "" {
			t.Errorf("tag %d:\n%s", i, diff)
		}
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last tag: %v, want the end", err)
	}
}

func TestADamagedStreamIsAnError(t *testing.T) {
	for fact, damage := range map[string]func([]byte) []byte{
		"not FLV":         func(b []byte) []byte { return append([]byte("RIFF"), b[4:]...) },
		"cut in a header": func(b []byte) []byte { return b[:7] },
		"cut in a tag":    func(b []byte) []byte { return b[:30] },
		"no SPS":          func(b []byte) []byte { b[34] = 0xe0; return b },
		"SPS too long":    func(b []byte) []byte { b[35] = 0xff; return b },
		"unit too long":   func(b []byte) []byte { b[64] = 0x01; return b },
		"empty unit":      func(b []byte) []byte { b[72] = 0; return b },
	} {
		r, err := newFLVReader(bytes.NewReader(damage(bytes.Clone(stream))))
		for n := 0; err == nil && n < 3; n++ {
			_, err = r.next()
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: error %v", fact, err)
		}
	}
}

func FuzzFLV(f *testing.F) {
	f.Add(stream)
	f.Add(stream[:40])
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := newFLVReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		for {
			picture, err := r.next()
			if err != nil {
				return
			}
			if (picture.units == nil) == (picture.sps == nil) {
				t.Fatal("neither parameters nor a picture, or both")
			}
			for _, u := range append(picture.units, picture.sps, picture.pps) {
				if !bytes.Contains(file, u) {
					t.Fatalf("unit % x is not of the file", u)
				}
			}
		}
	})
}
