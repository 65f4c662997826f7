package meter

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const bareTopic = "bare/performance"

// Bare is the least that a Go program can do: it reads the meter over a socket each period,
// publishes the current over another with QoS 1, and waits for the PUBACK. It checks and
// keeps nothing.
type Bare struct {
	Meter, Broker string // URLs
	Period        time.Duration
}

// Run polls until ctx ends or a connection fails.
func (b Bare) Run(ctx context.Context) error {
	meter, err := dial(ctx, b.Meter)
	if err != nil {
		return err
	}
	defer meter.Close()
	broker, err := dial(ctx, b.Broker)
	if err != nil {
		return err
	}
	defer broker.Close()
	in := bufio.NewReader(broker)
	connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	connect.ProtocolName, connect.ProtocolVersion, connect.CleanSession, connect.ClientIdentifier = "MQTT", 4, true, "bare"
	if err := exchange(broker, in, connect); err != nil {
		return err
	}
	for next, id := time.Now(), uint16(1); ; next, id = next.Add(b.Period), max(id+1, 1) {
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was ended
		}
		current, err := readCurrent(meter, id)
		if err != nil {
			return err
		}
		publish := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		publish.Qos, publish.TopicName, publish.MessageID = 1, bareTopic, id
		publish.Payload = []byte(`{"samples":[{"a":` + strconv.FormatFloat(current, 'f', -1, 32) + `}]}`)
		if err := exchange(broker, in, publish); err != nil {
			return err
		}
	}
}

func dial(ctx context.Context, url string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(url, "tcp://"))
}

// exchange sends a packet and waits for the next one.
func exchange(out io.Writer, in io.Reader, packet packets.ControlPacket) error {
	if err := packet.Write(out); err != nil {
		return fmt.Errorf("send to broker: %w", err)
	}
	if _, err := packets.ReadPacket(in); err != nil {
		return fmt.Errorf("receive from broker: %w", err)
	}
	return nil
}

// readCurrent reads the first current by function 3.
func readCurrent(meter io.ReadWriter, id uint16) (float64, error) {
	const header = 9 // MBAP header, function and length
	request := []byte{0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, registers}
	binary.BigEndian.PutUint16(request, id)
	if _, err := meter.Write(request); err != nil {
		return 0, fmt.Errorf("send to meter: %w", err)
	}
	var reply [header + 2*registers]byte
	if _, err := io.ReadFull(meter, reply[:]); err != nil {
		return 0, fmt.Errorf("receive from meter: %w", err)
	}
	return float64(math.Float32frombits(binary.BigEndian.Uint32(reply[header:]))), nil
}
