package meter

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/simonvetter/modbus"

	"meltwatch/bench/performance/figures"
	"meltwatch/simulator/broker"
)

// Every reply shows another current, and the current tells when the reply was given.
func TestReplyIsKnownByItsCurrent(t *testing.T) {
	s := &server{}
	seen := map[float64]bool{}
	for range different {
		before := time.Now()
		words, err := s.HandleHoldingRegisters(&modbus.HoldingRegistersRequest{Quantity: registers})
		if err != nil || len(words) != registers {
			t.Fatal(words, err)
		}
		current := float64(math.Float32frombits(uint32(words[0])<<16 | uint32(words[1])))
		given, known := s.givenAt(current)
		if !known || given.Before(before) || given.After(time.Now()) || seen[current] {
			t.Fatalf("%v A: given at %v, known %v, before %v", current, given, known, seen[current])
		}
		seen[current] = true
	}
	for _, other := range []float64{0, least - step, least + 0.25, least + step*different, math.NaN(), math.Inf(1)} {
		if _, known := s.givenAt(other); known {
			t.Errorf("%v A is taken for a reply", other)
		}
	}
}

func TestArrivalsAreTimed(t *testing.T) {
	s := &server{}
	for range 3 {
		if _, err := s.HandleHoldingRegisters(&modbus.HoldingRegistersRequest{Quantity: registers}); err != nil {
			t.Fatal(err)
		}
	}
	a := &arrivals{meter: s, topic: "ours/"}
	start := time.Now()
	a.take("other/current", []byte(`{"samples":[{"a":10000}]}`))
	if !a.first.IsZero() {
		t.Error("another sender's message counts")
	}
	a.take("ours/availability", []byte("online"))
	if a.first.IsZero() || a.started() {
		t.Error("availability is the first message, and no sample")
	}
	a.time(true)
	a.take("ours/current", []byte(`{"samples":[{"a":10000},{"a":10000.5}]}`))
	a.take("ours/telegraf", []byte(`{"fields":{"a":10001,"b":1},"name":"furnace"}`))
	a.take("ours/current", []byte(`{"samples":[{"a":777}]}`))
	a.time(false)
	a.take("ours/current", []byte(`{"samples":[{"a":10000}]}`))
	into := figures.Round{}
	a.figures(into, "x", start, time.Second)
	if len(a.age) != 3 || len(a.at) != 2 || into["x arrived"] != 3 || into["x p50"] <= 0 || into["x jitter"] < 900 {
		t.Errorf("%d ages, %d arrivals, %v", len(a.age), len(a.at), into)
	}
}

func TestJitterIsTheDistanceFromThePeriod(t *testing.T) {
	at := func(ms ...int) (all []time.Time) {
		for _, m := range ms {
			all = append(all, time.UnixMilli(int64(m)))
		}
		return all
	}
	got := jitter(at(0, 100, 205, 300), 100*time.Millisecond)
	if want := "[0s 5ms 5ms]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if len(jitter(at(1), time.Second)) != 0 {
		t.Error("one arrival has no interval")
	}
}

// The bare client reads the real server and publishes to a real broker.
func TestBareClientPublishesWhatTheMeterShows(t *testing.T) {
	s, err := startServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	b, url, err := broker.Local()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a := &arrivals{meter: s, topic: bareTopic}
	subscriber, err := broker.Subscribe(url, "test", "#", a.take)
	if err != nil {
		t.Fatal(err)
	}
	defer subscriber.Disconnect(100)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Bare{Meter: s.url, Broker: url, Period: 10 * time.Millisecond}.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); !a.started() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil || !a.started() {
		t.Errorf("started %v, ended with %v", a.started(), err)
	}
}

// Each row of the tables names figures of a sender and a rate that are measured.
func TestRowsNameMeasuredFigures(t *testing.T) {
	a := &arrivals{meter: &server{}}
	a.age, a.at = []time.Duration{1}, []time.Time{{}, {}}
	known := figures.Round{}
	for _, r := range rates() {
		for _, s := range senders() {
			name := fmt.Sprintf("%d %s", r.hertz, s.name)
			a.figures(known, name, time.Now(), time.Second)
			usage{}.figures(known, name, usage{}, time.Second, 1)
		}
	}
	for _, table := range Tables() {
		for _, row := range table.Rows {
			for _, name := range []string{row.Ours, row.Peer, row.Limit} {
				if _, measured := known[name]; name != "" && !measured {
					t.Errorf("%s: %s: figure %q is not measured", table.Title, row.What, name)
				}
			}
		}
	}
	if !strings.Contains(fmt.Sprint(known), "10 agent p50") {
		t.Error("the agent's figures are missing")
	}
}
