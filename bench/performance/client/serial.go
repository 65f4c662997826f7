package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	wire "github.com/goburrow/modbus"

	"meltwatch/bench/performance/figures"
	"meltwatch/config"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/modbus"
	"meltwatch/percentile"
)

var bauds = []int{9600, 19_200, 57_600, 115_200}

// The frames of a read of the currents in RTU (Serial Line V1.02 §2.5.1).
const (
	requestRTU = 8
	replyRTU   = 5 + 2*registers
)

// pace is how a serial line passes bytes.
type pace struct {
	character, silence time.Duration // of 11 bits, and between frames
}

func paceOf(baud int) pace {
	return pace{
		character: time.Duration(11 * float64(time.Second) / float64(baud)),
		silence:   config.LineGap(config.Meter{URL: "rtu:///dev/ttyUSB0", Serial: config.Serial{Baud: baud}}),
	}
}

// least is the wire's time from one request to the next: both frames and a silence after
// each.
func (p pace) least() time.Duration {
	return (requestRTU+replyRTU)*p.character + 2*p.silence
}

func (o Options) overSerial(ctx context.Context, baud int, into figures.Round) (err error) {
	line, url, err := drivertest.OpenSerialLine()
	if err != nil {
		return err
	}
	p := paceOf(baud)
	framing := wire.NewRTUClientHandler("")
	framing.SlaveId = 1
	reply, err := framing.Encode(&wire.ProtocolDataUnit{FunctionCode: wire.FuncCodeReadHoldingRegisters, Data: append([]byte{2 * registers}, make([]byte, 2*registers)...)})
	if err != nil {
		return errors.Join(err, line.Close())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.answer(line, reply)
	}()
	defer func() {
		err = errors.Join(err, line.Close())
		<-done
	}()
	scanner, err := modbus.NewScanner(config.Meter{URL: url, Serial: config.Serial{Baud: baud, DataBits: 8, Parity: "even", StopBits: 1}}, 0)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d baud ", baud)
	into[name+"bare"] = milliseconds(p.least())
	into[name+"ours"], err = o.cycle(ctx, p, func() error { return scan(ctx, scanner) })
	scanner.Close()
	if err != nil {
		return err
	}
	library := wire.NewRTUClientHandler(strings.TrimPrefix(url, "rtu://"))
	library.BaudRate, library.DataBits, library.Parity, library.StopBits = baud, 8, "E", 1
	library.SlaveId, library.Timeout = 1, timeout
	into[name+"library"], err = o.cycle(ctx, p, func() error { _, err := wire.NewClient(library).ReadHoldingRegisters(0, registers); return err })
	return errors.Join(err, library.Close())
}

// cycle is the median time from one read to the next, in milliseconds.
func (o Options) cycle(ctx context.Context, p pace, read func() error) (float64, error) {
	count := int(1500 * time.Millisecond / p.least())
	if o.Brief {
		count /= 5
	}
	var cycles []time.Duration
	last := time.Time{}
	for range count {
		if err := read(); err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		now := time.Now()
		if !last.IsZero() {
			cycles = append(cycles, now.Sub(last))
		}
		last = now
	}
	return milliseconds(percentile.Of(cycles, 50)), nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// answer is a device on the line: it answers each request when the wire would have passed
// it on, and each byte of the reply no sooner than the wire would.
func (p pace) answer(line io.ReadWriter, reply []byte) {
	const chunk = 8 // bytes that a serial port passes on together
	var request [requestRTU]byte
	for {
		if _, err := io.ReadFull(line, request[:]); err != nil {
			return
		}
		at := time.Now().Add(requestRTU*p.character + p.silence)
		for rest := reply; len(rest) > 0; {
			n := min(chunk, len(rest))
			at = at.Add(time.Duration(n) * p.character)
			time.Sleep(time.Until(at))
			if _, err := line.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}
}
