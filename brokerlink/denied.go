// Package brokerlink opens the network connection to a broker, and asks the broker what a
// user may do there. The agent and meltctl share it.
package brokerlink

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// The packets of MQTT 5 that a question about a right needs (sections 3.1 to 3.4).
const (
	packetConnect   = 0x10
	packetConnack   = 0x20
	packetPublishQ1 = 0x32 // QoS 1, not retained
	packetPuback    = 0x40
	packetID        = 1
	// denied is the first reason code of a refusal; notAuthorized is the one of an access
	// list.
	denied        = 0x80
	notAuthorized = 0x87
)

// answerTimeout is how long the broker may take for all answers.
const answerTimeout = 1500 * time.Millisecond

// errNotTold is the error for a broker without MQTT 5.
var errNotTold = errors.New("the broker does not report rights by MQTT 5")

// MayWrite asks by MQTT 5 whether this user may publish on a topic. In MQTT 3.1.1 a
// broker cannot refuse a message, so it acknowledges and drops it. The message is not
// retained. Another connection of the same client id ends.
func MayWrite(ctx context.Context, o paho.ClientOptions, broker, topic, payload string) (bool, error) {
	uri, err := url.Parse(broker)
	if err != nil {
		return false, err
	}
	conn, err := Open(uri, o)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return false, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write(connect5(o)); err != nil {
		return false, err
	}
	if code, err := reason(conn, packetConnack, 1); err != nil || code >= denied {
		return false, errors.Join(err, errNotTold)
	}
	if _, err := conn.Write(publish5(topic, payload)); err != nil {
		return false, err
	}
	code, err := reason(conn, packetPuback, 2)
	if err != nil {
		return false, err
	}
	return code != notAuthorized, nil
}

// connect5 is a CONNECT of MQTT 5 with a clean start.
func connect5(o paho.ClientOptions) []byte {
	const cleanStart, withPassword, withUser = 0x02, 0x40, 0x80
	flags, payload := byte(cleanStart), text5(nil, o.ClientID)
	if o.Username != "" {
		flags |= withUser
		payload = text5(payload, o.Username)
	}
	if o.Password != "" {
		flags |= withPassword
		payload = text5(payload, o.Password)
	}
	head := append(text5(nil, "MQTT"), 5, flags, 0, 30, 0) // keep alive 30 s, no properties
	return packet5(packetConnect, append(head, payload...))
}

func publish5(topic, payload string) []byte {
	head := append(text5(nil, topic), 0, packetID, 0) // no properties
	return packet5(packetPublishQ1, append(head, payload...))
}

func text5(to []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(text))), text...)
}

// packet5 adds the kind and the length, in groups of 7 bits from the lowest on.
func packet5(kind byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...)
}

// maxAnswer bounds an answer in bytes.
const maxAnswer = 4096

// reason reads packets until one of a kind arrives, and returns its reason code, which
// follows skip bytes and is 0 if it is left out.
func reason(from io.Reader, kind byte, skip int) (byte, error) {
	in := &oneByte{from}
	for {
		first, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		length, err := binary.ReadUvarint(in)
		if err != nil || length > maxAnswer {
			return 0, errors.Join(errNotTold, err)
		}
		var body bytes.Buffer
		if _, err := io.CopyN(&body, from, int64(length)); err != nil {
			return 0, err
		}
		switch {
		case first&0xf0 != kind:
			continue
		case body.Len() > skip:
			return body.Bytes()[skip], nil
		default:
			return 0, nil
		}
	}
}

// oneByte reads single bytes without reading ahead.
type oneByte struct{ from io.Reader }

func (o *oneByte) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(o.from, b[:])
	return b[0], err
}
