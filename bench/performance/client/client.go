// Package client measures what the Modbus client costs over the exchange itself: over TCP
// against a bare socket, and over a serial line against the wire's time.
package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	wire "github.com/goburrow/modbus"

	"meltwatch/bench/performance/figures"
	"meltwatch/config"
	"meltwatch/drivers/modbus"
	"meltwatch/percentile"
)

// Options size the measurement.
type Options struct {
	Brief bool // a fifth of the exchanges, to see that it works
}

const (
	// registers are those of three currents in float32.
	registers = 6
	timeout   = time.Second
	// turns is how often the clients take turns in a round, block the exchanges of each.
	turns, block = 10, 500
)

// reader is one client: read makes an exchange.
type reader struct {
	name string
	read func() error
}

// Measure makes one round.
func (o Options) Measure(ctx context.Context, n int) (figures.Round, error) {
	into := figures.Round{}
	if err := o.overTCP(ctx, n, into); err != nil {
		return nil, fmt.Errorf("TCP: %w", err)
	}
	for _, baud := range bauds {
		if err := o.overSerial(ctx, baud, into); err != nil {
			return nil, fmt.Errorf("%d baud: %w", baud, err)
		}
	}
	return into, nil
}

func (o Options) overTCP(ctx context.Context, n int, into figures.Round) (err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go serve(listener)
	address := listener.Addr().String()
	scanner, err := modbus.NewScanner(config.Meter{URL: "tcp://" + address}, 0)
	if err != nil {
		return err
	}
	defer scanner.Close()
	library := wire.NewTCPClientHandler(address)
	library.SlaveId, library.Timeout = 1, timeout
	defer func() { err = errors.Join(err, library.Close()) }()
	bare, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer bare.Close()
	return o.takeTurns(ctx, n, []reader{
		{"ours", func() error { return scan(ctx, scanner) }},
		{"library", func() error { _, err := wire.NewClient(library).ReadHoldingRegisters(0, registers); return err }},
		{"bare", func() error { return exchange(bare) }},
	}, into)
}

// takeTurns has each client make a block of exchanges, again and again.
func (o Options) takeTurns(ctx context.Context, n int, readers []reader, into figures.Round) error {
	size := block
	if o.Brief {
		size /= 5
	}
	took := map[string][]time.Duration{}
	allocations := map[string][]float64{}
	for turn := range turns + 1 {
		for i := range readers {
			r := readers[(i+n+turn)%len(readers)]
			if ctx.Err() != nil {
				return ctx.Err()
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			each := make([]time.Duration, 0, size)
			for range size {
				began := time.Now()
				if err := r.read(); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
				each = append(each, time.Since(began))
			}
			runtime.ReadMemStats(&after)
			if turn == 0 {
				continue // connections are opened, and memory grows
			}
			took[r.name] = append(took[r.name], each...)
			// One is the block's own list.
			allocations[r.name] = append(allocations[r.name], float64(after.Mallocs-before.Mallocs-1)/float64(size))
		}
	}
	for _, r := range readers {
		into["TCP "+r.name+" p50"] = microseconds(percentile.Of(took[r.name], 50))
		into["TCP "+r.name+" p99"] = microseconds(percentile.Of(took[r.name], 99))
		into["TCP "+r.name+" allocations"] = percentile.Of(allocations[r.name], 50)
	}
	return nil
}

func scan(ctx context.Context, s *modbus.Scanner) error {
	data, _, err := s.Read(ctx, timeout, modbus.Query{Unit: 1, Function: 3, Quantity: registers})
	if err == nil && len(data) != 2*registers {
		err = fmt.Errorf("%d bytes came", len(data))
	}
	return err
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// The frames of a read of the currents over TCP.
const (
	requestTCP = 12
	headerTCP  = 9 // MBAP header, function and length
	replyTCP   = headerTCP + 2*registers
)

// exchange makes the read over a bare socket, without a check.
func exchange(meter io.ReadWriter) error {
	request := [requestTCP]byte{5: 6, 6: 1, 7: 3, 11: registers}
	if _, err := meter.Write(request[:]); err != nil {
		return err
	}
	var reply [replyTCP]byte
	_, err := io.ReadFull(meter, reply[:])
	return err
}

// serve answers every read at once, until the listener closes.
func serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			answer(client)
		}()
	}
}

// answer answers the reads of one client until it leaves.
func answer(client io.ReadWriter) {
	var request [requestTCP]byte
	reply := [replyTCP]byte{7: 3, 8: 2 * registers}
	binary.BigEndian.PutUint16(reply[4:], replyTCP-6)
	for {
		if _, err := io.ReadFull(client, request[:]); err != nil {
			return
		}
		copy(reply[:4], request[:4])
		reply[6] = request[6]
		if _, err := client.Write(reply[:]); err != nil {
			return
		}
	}
}
