package mqtt

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"meltwatch/config"
)

// remembered keeps the last fault.
type remembered struct {
	quiet
	fault atomic.Pointer[error]
}

func (r *remembered) Fault(err error) { r.fault.Store(&err) }

// A broker that announces a packet of 200 MiB is left before anyone makes room
// for it.
func TestOversizePacketEndsTheConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Write([]byte{0x20, 2, 0, 0})                        // CONNACK, accepted
				_, _ = c.Write(append([]byte{0x30}, 0x80, 0x80, 0x80, 0x64)) // PUBLISH of 200 MiB
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	seen := &remembered{}
	p := New(config.MQTT{Broker: "tcp://" + l.Addr().String(), ClientID: "test", KeepAlive: time.Second, Queue: 100, HistoryRate: 200},
		root, NewMemory(100), slog.New(slog.DiscardHandler), seen)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() { _ = p.Run(t.Context()) }() // ends with the test
	eventually(t, 10*time.Second, "the fault is said", func() bool {
		err := seen.fault.Load()
		return err != nil && strings.Contains((*err).Error(), "more than 524288 bytes")
	})
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 50<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// FuzzPackets: however a stream is cut into reads, no packet beyond the bound
// gets through, and what is within it does.
func FuzzPackets(f *testing.F) {
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x64}, uint8(1))
	f.Add([]byte{0x20, 2, 0, 0, 0xd0, 0, 0x30, 3, 0, 1, 'a'}, uint8(3))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint8) {
		var scanner framing
		through := 0
		for rest := stream; len(rest) > 0; {
			n := min(int(cut)%16+1, len(rest))
			sound := scanner.scan(rest[:n])
			through += sound
			if sound < n {
				break
			}
			rest = rest[n:]
		}
		if want := wholly(stream); through != want {
			t.Errorf("%d bytes got through, want %d of % x", through, want, stream)
		}
	})
}

// wholly is how many bytes of a stream are sound, by the standard's own words.
func wholly(stream []byte) int {
	for at := 0; at < len(stream); {
		length, digits := binary.Uvarint(stream[at+1 : min(at+1+maxDigits, len(stream))])
		switch {
		case digits == 0 && len(stream) < at+1+maxDigits:
			return len(stream) // cut within the length
		case digits == 0:
			return at + maxDigits // a length of five digits
		case length > maxPacket:
			return at + digits
		}
		at += 1 + digits + int(length)
	}
	return len(stream)
}
