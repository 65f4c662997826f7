package throughput

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"meltwatch/agent/delivery"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/stamp"
	"meltwatch/bench/rig"
	"meltwatch/config"
	"meltwatch/durable"
	"meltwatch/simulator/broker"
)

// appending measures how many records a second the outbox takes.
func (o Options) appending(ctx context.Context, folder string) ([]figure, error) {
	log, err := OpenOutbox(filepath.Join(folder, "append"))
	if err != nil {
		return nil, err
	}
	payload, err := SamplePayload(1)
	if err != nil {
		return nil, err
	}
	// The best of several runs, because the load of other programs varies.
	var raw, grouped, events float64
	for range 5 {
		if err := rig.Pause(ctx, 2*time.Second); err != nil {
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

// rawSync measures how many small synced writes the disk takes a second.
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

// OpenOutbox opens an outbox that drops nothing.
func OpenOutbox(folder string) (*outbox.Log, error) {
	settings := rig.Ample()
	settings.MemoryRecords = 10_000
	return outbox.Open(durable.Folder(folder), settings, slog.New(slog.DiscardHandler), rig.Silent{}, nil)
}

// SamplePayload is a record of current as an agent makes it.
func SamplePayload(seq uint64) ([]byte, error) {
	return json.Marshal(message.Sample{
		Stamp: message.Stamp{Version: 1, Time: time.Now().UTC(), Boot: 12, Seq: seq, MonoMS: 123456789, KernelBoot: "0f8fad5b-d9cb-469f-a165-70867728950e", Clock: "synced"},
		A:     14_987.1234, B: 15_023.5678, C: 15_101.9012, SetPoint: 15_000, UncertaintyMS: 0.734,
	})
}

// million measures an outbox with very many waiting records.
func (o Options) million(ctx context.Context, folder string) ([]figure, error) {
	full := filepath.Join(folder, "full", "outbox")
	if err := Fill(full, o.Records); err != nil {
		return nil, err
	}
	opening := &rig.Timings{}
	for range 5 {
		began := time.Now()
		log, err := OpenOutbox(full)
		if err != nil {
			return nil, err
		}
		opening.Add(time.Since(began))
		if err := log.Close(); err != nil {
			return nil, err
		}
	}
	empty, err := o.memory(ctx, filepath.Join(folder, "empty"))
	if err != nil {
		return nil, err
	}
	queued, err := o.memory(ctx, filepath.Dir(full))
	if err != nil {
		return nil, err
	}
	grown := float64(queued-empty) / 1e6
	drain, err := o.drain(ctx, folder, full)
	return append([]figure{
		{fmt.Sprintf("opening with %d records waiting", o.Records), opening.Percentile(50).String(), "≤ 1 s", opening.Percentile(50) <= time.Second},
		{"anonymous memory that they take", fmt.Sprintf("%.1f MB", grown), "≤ 10 MB", grown <= 10},
	}, drain...), err
}

// Fill leaves records of current in the outbox of a folder.
func Fill(folder string, records int) error {
	log, err := OpenOutbox(folder)
	if err != nil {
		return err
	}
	for i := range records {
		payload, err := SamplePayload(uint64(i) + 1)
		if err != nil {
			return err
		}
		log.Return(outbox.Current, []uint64{log.Append(outbox.Current, payload)})
	}
	return log.Close()
}

// memory measures a crash worker that makes 20 records a second without a broker, over
// the outbox in a folder.
func (o Options) memory(ctx context.Context, folder string) (bytes int, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return 0, err
	}
	worker, err := rig.Worker(ctx, folder, "tcp://127.0.0.1:1", 20)
	if err != nil {
		return 0, err
	}
	if err := worker.Start(); err != nil {
		return 0, err
	}
	waited := rig.Pause(ctx, 8*time.Second)
	r, err := rig.ReadUsage(worker.Process.Pid)
	err = errors.Join(waited, err, worker.Process.Kill())
	_ = worker.Wait() // its error is the kill
	return r.Anonymous, err
}

// drain measures how fast a local mosquitto receives history, and the latency of live
// records meanwhile.
func (o Options) drain(ctx context.Context, folder, full string) ([]figure, error) {
	const rate, length = 1000, 20 * time.Second
	d, err := Drain(ctx, filepath.Join(folder, "drain"), full, rate, length)
	if err != nil {
		return nil, err
	}
	p95 := d.Live.Percentile(95)
	return []figure{
		{"history drained to a local mosquitto, QoS 1, `history_rate: 1000`", fmt.Sprintf("%.0f records/s", d.PerSecond), "≥ 5 000", d.PerSecond >= 5000},
		{"… live records meanwhile: p50, p95", fmt.Sprintf("%s, %s (%d)", d.Live.Percentile(50), p95, d.Live.Count()), "p95 ≤ 50 ms", d.Live.Count() > 0 && p95 <= 50*time.Millisecond},
	}, nil
}

// Drained is how history was drained.
type Drained struct {
	PerSecond float64      // records of history
	Live      *rig.Timings // ages of live records at the subscriber
}

// Drain drains the outbox of folder full to a local mosquitto for a time, with rate messages
// of history a second at most, and 20 live records a second beside it. The broker's files
// and the publisher's are in folder.
func Drain(ctx context.Context, folder, full string, rate int, length time.Duration) (d Drained, err error) {
	d.Live = &rig.Timings{}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return d, err
	}
	mosquitto, err := rig.StartMosquitto(ctx, folder)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, mosquitto.Stop()) }()
	var history atomic.Int64
	subscriber, err := broker.Subscribe(mosquitto.URL(), "drained", rig.Root(rig.WorkerSite)+"#", func(topic string, payload []byte) {
		switch topic {
		case rig.Root(rig.WorkerSite) + "current":
			d.Live.Add(rig.Age(payload))
		case rig.Root(rig.WorkerSite) + "history/current":
			var m message.Current
			if json.Unmarshal(payload, &m) == nil {
				history.Add(int64(len(m.Samples)))
			}
		}
	})
	if err != nil {
		return d, err
	}
	defer subscriber.Disconnect(100)
	log, err := OpenOutbox(full)
	if err != nil {
		return d, err
	}
	stamper, err := stamp.OnHost(folder)
	if err != nil {
		return d, errors.Join(err, log.Close())
	}
	publisher := delivery.New(config.MQTT{
		Retain: true,
		Broker: mosquitto.URL(), ClientID: "drain", KeepAlive: 10 * time.Second, Queue: 10_000, HistoryRate: rate,
	}, rig.Root(rig.WorkerSite), stamper, log, slog.New(slog.DiscardHandler), rig.Silent{})
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- publisher.Run(running) }()
	for began := time.Now(); time.Since(began) < length && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		publisher.Sample(message.Sample{Stamp: stamper.Stamp("current", time.Now()), A: 15_000, B: 15_000, C: 15_000})
	}
	d.PerSecond = float64(history.Load()) / length.Seconds()
	stop()
	return d, errors.Join(<-ended, log.Close(), ctx.Err())
}
