package client

import (
	"fmt"
	"net"
	"testing"
	"time"

	"meltwatch/bench/performance/figures"
	"meltwatch/config"
	"meltwatch/drivers/drivertest"
	"meltwatch/drivers/modbus"
)

// A brief round measures every figure that the tables name, and the client allocates no more
// beside the bare exchange than the library's request and the copy for the caller.
func TestBriefRoundMeasuresEveryRow(t *testing.T) {
	line, _, err := drivertest.OpenSerialLine()
	if err != nil {
		t.Skipf("SKIPPED, no serial line is measured: %v", err)
	}
	line.Close()
	measured, err := Options{Brief: true}.Measure(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range Tables() {
		for _, row := range table.Rows {
			for _, name := range []string{row.Ours, row.Peer, row.Limit} {
				if measured[name] <= 0 && name != "TCP bare allocations" {
					t.Errorf("%s: %s: %q is %v", table.Title, row.What, name, measured[name])
				}
			}
		}
	}
	for _, baud := range bauds {
		ours, wire := measured[fmt.Sprintf("%d baud ours", baud)], measured[fmt.Sprintf("%d baud bare", baud)]
		if ours < wire {
			t.Errorf("%d baud: %v ms, quicker than the wire (%v ms)", baud, ours, wire)
		}
	}
}

// A guard that needs no clock: the client's allocations against the bare exchange's.
func TestExchangeAllocatesLittleBesideTheBareOne(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go serve(listener)
	bare, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	scanner, err := modbus.NewScanner(config.Meter{URL: "tcp://" + listener.Addr().String()}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer scanner.Close()
	each := func(read func() error) float64 {
		return testing.AllocsPerRun(200, func() {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		})
	}
	least, ours := each(func() error { return exchange(bare) }), each(func() error { return scan(t.Context(), scanner) })
	if ours > least+2 {
		t.Errorf("%v allocations an exchange, %v of a bare socket", ours, least)
	}
}

// The wire's time is that of the standard: at 19,200 baud a character of 11 bits takes
// 573 µs, and frames are 3.5 characters apart.
func TestWireTakesTheStandardsTime(t *testing.T) {
	const frames, silences = 8 + 17, 7 // characters
	want := (frames + silences) * 11 * time.Second / 19_200
	if got := paceOf(19_200).least(); (got - want).Abs() > time.Microsecond {
		t.Errorf("%v, want %v", got, want)
	}
}

// A system that fails ends the round with its name.
func TestFailingReaderIsNamed(t *testing.T) {
	err := Options{Brief: true}.takeTurns(t.Context(), 0, []reader{{"ours", func() error { return net.ErrClosed }}}, figures.Round{})
	if err == nil || err.Error() != "ours: use of closed network connection" {
		t.Errorf("error %v", err)
	}
}
