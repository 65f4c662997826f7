// Package outbox measures the outbox against bbolt and against the disk: how fast records
// are appended and drained, and what live records wait meanwhile.
package outbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"meltwatch/agent/outbox"
	"meltwatch/bench/performance/figures"
	"meltwatch/bench/rig"
	"meltwatch/bench/throughput"
	"meltwatch/percentile"
)

// Options size the measurement.
type Options struct {
	Folder string // holds the measured files, not on a RAM disk
	Brief  bool   // a fifth of the time, to see that it works
}

const (
	// group is how many records are synced together, as the spooler does in an outage.
	group = 100
	// length is how long each store appends in a round, drained how long it drains.
	length  = 2 * time.Second
	drained = 4 * time.Second
	// waiting records are more than any rate drains in that time.
	waiting = 170_000
)

// historyRates are the messages of history a second that the configuration allows: its
// default, and two higher ones.
var historyRates = []int{200, 1000, 2000}

// store is one way to keep records on disk.
type store interface {
	// append stores copies of a record and syncs them together.
	append(record []byte, copies int) error
	close() error
}

// Measure makes one round.
func (o Options) Measure(ctx context.Context, n int) (into figures.Round, err error) {
	if err := os.MkdirAll(o.Folder, 0o755); err != nil { //nolint:gosec // anyone may read results
		return nil, err
	}
	folder, err := os.MkdirTemp(o.Folder, "outbox-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	into = figures.Round{}
	kinds := []struct {
		name string
		open func(folder string) (store, error)
	}{{"ours", openOurs}, {"bbolt", openBolt}, {"raw", openRaw}}
	for i := range kinds {
		k := kinds[(i+n)%len(kinds)]
		if err := o.appendTo(ctx, filepath.Join(folder, k.name), k.name, k.open, into); err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return into, o.drain(ctx, folder, into)
}

// appendTo appends to one store, in groups and one by one.
func (o Options) appendTo(ctx context.Context, folder, name string, open func(string) (store, error), into figures.Round) (err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	s, err := open(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	record, err := throughput.SamplePayload(1)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		figure string
		copies int
	}{{"grouped", group}, {"single", 1}} {
		var took []time.Duration
		n, began := 0, time.Now()
		written, err := rig.WrittenBytes(os.Getpid())
		if err != nil {
			return err
		}
		for time.Since(began) < o.scaled(length) && ctx.Err() == nil {
			each := time.Now()
			if err := s.append(record, c.copies); err != nil {
				return err
			}
			took = append(took, time.Since(each))
			n += c.copies
		}
		more, err := rig.WrittenBytes(os.Getpid())
		if err != nil {
			return err
		}
		into[name+" "+c.figure] = float64(n) / time.Since(began).Seconds()
		into[name+" "+c.figure+" p99"] = float64(percentile.Of(took, 99)) / float64(time.Millisecond)
		into[name+" "+c.figure+" written"] = float64(more-written) / float64(n)
	}
	return ctx.Err()
}

func (o Options) scaled(d time.Duration) time.Duration {
	if o.Brief {
		return d / 5
	}
	return d
}

// drain fills an outbox and has the publisher send it to a mosquitto, with live records
// beside it; bbolt is read to the end and emptied.
func (o Options) drain(ctx context.Context, folder string, into figures.Round) error {
	records := waiting
	if o.Brief {
		records /= 5
	}
	for _, rate := range historyRates {
		full := filepath.Join(folder, fmt.Sprint("full", rate))
		if err := throughput.Fill(full, records); err != nil {
			return err
		}
		d, err := throughput.Drain(ctx, filepath.Join(folder, fmt.Sprint("drain", rate)), full, rate, o.scaled(drained))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("drain %d ", rate)
		into[name+"speed"] = d.PerSecond
		into[name+"live p50"] = float64(d.Live.Percentile(50)) / float64(time.Millisecond)
		into[name+"live p95"] = float64(d.Live.Percentile(95)) / float64(time.Millisecond)
	}
	speed, err := drainBolt(filepath.Join(folder, "bolt.db"), records)
	into["bbolt drain"] = speed
	return err
}

// drainBolt reads and deletes the records in groups, and sends them nowhere.
func drainBolt(path string, records int) (perSecond float64, err error) {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	record, err := throughput.SamplePayload(1)
	if err != nil {
		return 0, err
	}
	s := bolt{db: db}
	if err := s.append(record, records); err != nil {
		return 0, err
	}
	began := time.Now()
	for left := records; left > 0; {
		err := db.Update(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucket).Cursor()
			for key, _ := c.First(); key != nil && left > 0; key, _ = c.First() {
				if err := c.Delete(); err != nil {
					return err
				}
				if left--; left%group == 0 {
					break
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(records) / time.Since(began).Seconds(), nil
}

// ours is the agent's outbox.
type ours struct{ log *outbox.Log }

func openOurs(folder string) (store, error) {
	log, err := throughput.OpenOutbox(folder)
	return ours{log}, err
}

func (s ours) append(record []byte, copies int) error {
	for range copies {
		s.log.Return(outbox.Current, []uint64{s.log.Append(outbox.Current, record)})
	}
	s.log.Sync()
	return nil
}

func (s ours) close() error { return s.log.Close() }

var bucket = []byte("records")

// bolt keeps records under their numbers.
type bolt struct{ db *bbolt.DB }

func openBolt(folder string) (store, error) {
	db, err := bbolt.Open(filepath.Join(folder, "bolt.db"), 0o600, nil)
	return bolt{db}, err
}

func (b bolt) append(record []byte, copies int) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		records, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		for range copies {
			number, err := records.NextSequence()
			if err != nil {
				return err
			}
			if err := records.Put(binary.BigEndian.AppendUint64(nil, number), record); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b bolt) close() error { return b.db.Close() }

// raw is a file that is only appended to, with one write and one fsync.
type raw struct{ file *os.File }

func openRaw(folder string) (store, error) {
	file, err := os.Create(filepath.Join(folder, "raw"))
	return &raw{file}, err
}

func (r *raw) append(record []byte, copies int) error {
	all := make([]byte, 0, copies*len(record))
	for range copies {
		all = append(all, record...)
	}
	if _, err := r.file.Write(all); err != nil {
		return err
	}
	return r.file.Sync()
}

func (r *raw) close() error { return r.file.Close() }
