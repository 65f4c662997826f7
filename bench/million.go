package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/config"
	"meltwatch/durable"
)

// appending measures how fast the outbox takes records.
func (c figuresCommand) appending(ctx context.Context, folder string) ([]figure, error) {
	log, err := openOutbox(filepath.Join(folder, "append"))
	if err != nil {
		return nil, err
	}
	payload, err := samplePayload(1)
	if err != nil {
		return nil, err
	}
	// The best of several goes: what else the machine does comes and goes.
	var raw, grouped, events float64
	for range 5 {
		if err := pause(ctx, 2*time.Second); err != nil {
			return nil, err
		}
		sync, err := rawSync(folder)
		if err != nil {
			return nil, err
		}
		raw = max(raw, sync)
		grouped = max(grouped, rate(time.Second, func() int {
			for range 100 {
				log.Return(outbox.Current, []uint64{log.Append(outbox.Current, payload)})
			}
			log.Sync()
			return 100
		}))
		events = max(events, rate(time.Second, func() int {
			log.Return(outbox.Event, []uint64{log.Append(outbox.Event, payload)})
			return 1
		}))
	}
	return []figure{
		{"this disk: write and fsync of 500 bytes", fmt.Sprintf("%.0f a second", raw), "", true},
		{"append in groups of 100, each synced", fmt.Sprintf("%.0f records/s", grouped), "≥ 50 000", grouped >= 50_000},
		{"append of events, each synced", fmt.Sprintf("%.0f records/s", events), "", true},
	}, log.Close()
}

// rawSync is how often a second the disk takes a little.
func rawSync(folder string) (perSecond float64, err error) {
	file, err := os.CreateTemp(folder, "raw")
	if err != nil {
		return 0, err
	}
	little := make([]byte, 500)
	perSecond = rate(time.Second, func() int {
		_, writeErr := file.Write(little)
		err = errors.Join(err, writeErr, file.Sync())
		return 1
	})
	return perSecond, errors.Join(err, file.Close(), os.Remove(file.Name()))
}

func rate(length time.Duration, do func() int) float64 {
	began, n := time.Now(), 0
	for time.Since(began) < length {
		n += do()
	}
	return float64(n) / time.Since(began).Seconds()
}

func openOutbox(folder string) (*outbox.Log, error) {
	settings := ample()
	settings.MemoryRecords = 10_000
	return outbox.Open(durable.Folder(folder), settings, slog.New(slog.DiscardHandler), silent{}, nil)
}

// samplePayload is a record of current as an agent makes it.
func samplePayload(seq uint64) ([]byte, error) {
	return json.Marshal(message.Sample{
		Stamp: message.Stamp{Version: 1, Time: time.Now().UTC(), Boot: 12, Seq: seq, MonoMS: 123456789, KernelBoot: "0f8fad5b-d9cb-469f-a165-70867728950e", Clock: "synced"},
		A:     14_987.1234, B: 15_023.5678, C: 15_101.9012, SetPoint: 15_000, UncertaintyMS: 0.734,
	})
}

// million measures an outbox in which very many records wait.
func (c figuresCommand) million(ctx context.Context, folder string) ([]figure, error) {
	full := filepath.Join(folder, "full", "outbox")
	if err := fill(full, c.Records); err != nil {
		return nil, err
	}
	opening := &timings{}
	for range 5 {
		began := time.Now()
		log, err := openOutbox(full)
		if err != nil {
			return nil, err
		}
		opening.add(time.Since(began))
		if err := log.Close(); err != nil {
			return nil, err
		}
	}
	empty, err := c.memory(ctx, filepath.Join(folder, "empty"))
	if err != nil {
		return nil, err
	}
	queued, err := c.memory(ctx, filepath.Dir(full))
	if err != nil {
		return nil, err
	}
	grown := float64(queued-empty) / 1e6
	drain, err := c.drain(ctx, folder, full)
	return append([]figure{
		{fmt.Sprintf("opening with %d records waiting", c.Records), opening.percentile(50).String(), "≤ 1 s", opening.percentile(50) <= time.Second},
		{"anonymous memory that they take", fmt.Sprintf("%.1f MB", grown), "≤ 10 MB", grown <= 10},
	}, drain...), err
}

func fill(folder string, records int) error {
	log, err := openOutbox(folder)
	if err != nil {
		return err
	}
	for i := range records {
		payload, err := samplePayload(uint64(i) + 1)
		if err != nil {
			return err
		}
		log.Return(outbox.Current, []uint64{log.Append(outbox.Current, payload)})
	}
	return log.Close()
}

// memory is what a process takes that makes 20 records a second while no broker
// is there, over the outbox in a folder.
func (c figuresCommand) memory(ctx context.Context, folder string) (bytes int, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	victim := exec.CommandContext(ctx, self)
	victim.Env = append(os.Environ(), victimFolder+"="+folder, victimBroker+"=tcp://127.0.0.1:1", victimRate+"=20")
	victim.Stderr = os.Stderr
	if err := victim.Start(); err != nil {
		return 0, err
	}
	waited := pause(ctx, 8*time.Second)
	r, err := readProcess(victim.Process.Pid)
	err = errors.Join(waited, err, victim.Process.Kill())
	_ = victim.Wait() // killed: that is its error
	return r.anonymous, err
}

// drain measures how fast history leaves for a local mosquitto, and how long
// live records take meanwhile.
func (c figuresCommand) drain(ctx context.Context, folder, full string) (figures []figure, err error) {
	broker, err := startMosquitto(ctx, folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, broker.stop()) }()
	var history atomic.Int64
	live := &timings{}
	subscriber, err := subscribe(broker.address, "drained", victimRoot+"#", func(topic string, payload []byte) {
		switch topic {
		case victimRoot + "current":
			live.add(ageOf(payload))
		case victimRoot + "history/current":
			var m message.Current
			if json.Unmarshal(payload, &m) == nil {
				history.Add(int64(len(m.Samples)))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	defer subscriber.Disconnect(100)
	log, err := openOutbox(full)
	if err != nil {
		return nil, err
	}
	stamper, err := stamp.New(filepath.Join(folder, "drain"))
	if err != nil {
		return nil, err
	}
	publisher := delivery.New(config.MQTT{
		Retain: true,
		Broker: "tcp://" + broker.address, ClientID: "drain", KeepAlive: 10 * time.Second, Queue: 10_000, HistoryRate: 1000,
	}, victimRoot, stamper, log, slog.New(slog.DiscardHandler), silent{})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- publisher.Run(running) }()
	const length = 20 * time.Second
	for began := time.Now(); time.Since(began) < length && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		publisher.Sample(message.Sample{Stamp: stamper.Stamp("current", time.Now()), A: 15_000, B: 15_000, C: 15_000})
	}
	speed := float64(history.Load()) / length.Seconds()
	stop()
	if err := errors.Join(<-ended, log.Close(), ctx.Err()); err != nil {
		return nil, err
	}
	p95 := live.percentile(95)
	return []figure{
		{"history drained to a local mosquitto, QoS 1, `history_rate: 1000`", fmt.Sprintf("%.0f records/s", speed), "≥ 5 000", speed >= 5000},
		{"… live records meanwhile: p50, p95", fmt.Sprintf("%s, %s (%d)", live.percentile(50), p95, live.count()), "p95 ≤ 50 ms", live.count() > 0 && p95 <= 50*time.Millisecond},
	}, nil
}
