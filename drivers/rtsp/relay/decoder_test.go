package relay

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// noting is a connection that notes how many packets each write holds.
type noting struct {
	net.Conn
	writes []int
	text   bytes.Buffer
}

func (n *noting) SetWriteDeadline(time.Time) error { return nil }

func (n *noting) Write(p []byte) (int, error) {
	packets := 0
	for rest := p; len(rest) >= 4; packets++ {
		rest = rest[4+int(rest[2])<<8+int(rest[3]):]
	}
	n.writes = append(n.writes, packets)
	return n.text.Write(p)
}

// packetOf is a packet of a picture.
func packetOf(number uint16, stamp uint32, marker bool, size int) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: number, Timestamp: stamp, Marker: marker}, Payload: make([]byte, size)}
}

// The packets of a picture are written together, its last one at once, and so is the first
// one of the next picture, from which a decoder knows that the picture before is whole.
func TestPacketsOfAPictureAreWrittenTogether(t *testing.T) {
	for name, c := range map[string]struct {
		packets []*rtp.Packet
		want    []int
	}{
		"marked": {[]*rtp.Packet{
			packetOf(1, 10, false, 100), packetOf(2, 10, false, 100), packetOf(3, 10, true, 100),
			packetOf(4, 20, false, 100), packetOf(5, 20, true, 100), packetOf(6, 30, true, 100),
		}, []int{1, 2, 1, 1, 1}},
		"never marked": {[]*rtp.Packet{
			packetOf(1, 10, false, 100), packetOf(2, 10, false, 100), packetOf(3, 10, false, 100),
			packetOf(4, 20, false, 100), packetOf(5, 20, false, 100), packetOf(6, 30, false, 100),
		}, []int{1, 3, 2}},
		"large": {[]*rtp.Packet{
			packetOf(1, 10, false, 30_000), packetOf(2, 10, false, 30_000), packetOf(3, 10, false, 30_000), packetOf(4, 10, false, 30_000), packetOf(5, 10, true, 1),
		}, []int{1, 3, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			to := &noting{}
			s := &decoderServer{conn: to, playing: true}
			var sent []byte
			for _, p := range c.packets {
				if err := s.send(p); err != nil {
					t.Fatal(err)
				}
				text, err := p.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				sent = append(append(sent, '$', 0, byte(len(text)>>8), byte(len(text))), text...)
			}
			if got := to.writes; len(got) != len(c.want) {
				t.Fatalf("writes of %v packets, want %v", got, c.want)
			}
			for i, n := range to.writes {
				if n != c.want[i] {
					t.Fatalf("writes of %v packets, want %v", to.writes, c.want)
				}
			}
			if !bytes.Equal(to.text.Bytes(), sent) {
				t.Error("the decoder receives other bytes")
			}
		})
	}
	if err := (&decoderServer{conn: &noting{}, playing: true}).send(packetOf(1, 1, true, 70_000)); err == nil {
		t.Error("a packet of 70,000 bytes is taken")
	}
}
