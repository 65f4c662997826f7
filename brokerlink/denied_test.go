package brokerlink

import (
	"bytes"
	"testing"
)

// Any answer of a broker gives a reason code or an error.
func FuzzReason(f *testing.F) {
	f.Add([]byte{0x20, 3, 0, 0x87, 0})
	f.Add([]byte{0x40, 2, 0, 1})
	f.Add([]byte{0x40, 4, 0, 1, 0x87, 0})
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, answer []byte) {
		code, err := reason(bytes.NewReader(answer), packetPuback, 2)
		if err == nil && code != 0 && !bytes.Contains(answer, []byte{code}) {
			t.Errorf("%x gives %#x", answer, code)
		}
	})
}

func TestReasonCodes(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		code   byte
		ok     bool
	}{
		"denied":                   {[]byte{0x40, 4, 0, 1, 0x87, 0}, 0x87, true},
		"left out":                 {[]byte{0x40, 2, 0, 1}, 0, true},
		"after another packet":     {[]byte{0x30, 3, 0, 1, 'a', 0x40, 3, 0, 1, 0x10}, 0x10, true},
		"cut off":                  {[]byte{0x40, 4, 0, 1}, 0, false},
		"too long":                 {[]byte{0x40, 0xff, 0xff, 0x7f}, 0, false},
		"length of too many bytes": {[]byte{0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0, false},
	} {
		if code, err := reason(bytes.NewReader(c.answer), packetPuback, 2); code != c.code || (err == nil) != c.ok {
			t.Errorf("%s: %#x, %v", name, code, err)
		}
	}
}
