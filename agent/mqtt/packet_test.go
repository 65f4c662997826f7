package mqtt

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

func TestAnnouncedSizeCostsNoMemory(t *testing.T) {
	stream := append([]byte{0x30, 0x80, 0x80, 0x80, 0x64}, make([]byte, 1<<20)...) // PUBLISH of 200 MiB, cut off
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sized := 0
	s := packetFilter{in: bufio.NewReader(bytes.NewReader(stream)), skipped: func(size int) { sized = size }}
	if n, err := io.Copy(io.Discard, &s); n != 0 || err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 || sized != 200<<20 {
		t.Errorf("%d bytes were allocated, a packet of %d was skipped", grown, sized)
	}
}

// FuzzPackets checks that exactly the packets within the bound pass, for any division
// of the stream into reads.
func FuzzPackets(f *testing.F) {
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x64})
	f.Add([]byte{0x20, 2, 0, 0, 0xd0, 0, 0x30, 3, 0, 1, 'a'})
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, stream []byte) {
		s := packetFilter{in: bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stream)), 16), skipped: func(int) {}}
		through, err := io.ReadAll(iotest.HalfReader(&s))
		if want := within(stream); !bytes.Equal(through, want) {
			t.Errorf("% x came through (%v), want % x of % x", through, err, want, stream)
		}
	})
}

// within returns the packets that must pass, computed from the standard.
func within(stream []byte) (through []byte) {
	for len(stream) > 0 {
		length, digits := binary.Uvarint(stream[1:min(1+maxDigits, len(stream))])
		if digits <= 0 { // cut within the length, or without end
			return through
		}
		whole := min(1+digits+int(length), len(stream))
		if length <= maxPacket {
			through = append(through, stream[:whole]...)
		}
		stream = stream[whole:]
	}
	return through
}
