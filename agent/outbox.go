package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/outbox"
	"meltwatch/config"
	"meltwatch/durable"
	"meltwatch/retry"
)

func outboxFolder(c config.Config) string { return filepath.Join(c.Paths.State, "outbox") }

func outboxSettings(c config.Outbox, queue int) outbox.Settings {
	const megabyte = 1_000_000
	return outbox.Settings{
		Bytes:         int64(c.TotalMB) * megabyte,
		Event:         outbox.Bounds{Bytes: int64(c.EventMB) * megabyte, Age: c.EventAge},
		State:         outbox.Bounds{Bytes: int64(c.StateMB) * megabyte, Age: c.StateAge},
		Current:       outbox.Bounds{Bytes: int64(c.CurrentMB) * megabyte, Age: c.CurrentAge},
		MemoryRecords: queue,
	}
}

// openOutbox opens the outbox on disk. Where that cannot be read, records wait in
// memory until it can: a disk is no reason to leave a furnace unwatched.
func (a *agent) openOutbox(c config.Config) delivery.Outbox {
	if !c.Outbox.Enabled {
		return delivery.NewMemory(c.MQTT.Queue)
	}
	health := a.board.Add("outbox", outboxLimit)
	faults := &retry.Faults{Log: a.log.With("part", "outbox")}
	open := func() (delivery.Outbox, error) {
		err := a.tryOutbox(c, health)
		if err != nil {
			health.Fault(err)
			faults.Report(fmt.Errorf("outbox not opened, records wait in memory: %w", err))
			return nil, err
		}
		faults.Over()
		return a.outbox, nil
	}
	opened, err := open()
	if err != nil {
		return delivery.NewLate(c.MQTT.Queue, open)
	}
	return opened
}

// tryOutbox opens and locks the outbox on disk. It is called before the publisher
// runs, and where that fails by its keeper; closeOutbox comes after both.
func (a *agent) tryOutbox(c config.Config, health *health.Part) error {
	disk := durable.Folder(outboxFolder(c))
	lock, err := disk.Lock()
	if err != nil {
		return err
	}
	opened, err := outbox.Open(disk, outboxSettings(c.Outbox, c.MQTT.Queue),
		a.log.With("part", "outbox"), health, func(i outbox.Incident) { a.reporter.outboxIncident(i) })
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	a.outbox, a.outboxLock = opened, lock
	return nil
}

// outboxFor is the outbox as a configuration wants it: the one that is open, or
// that one closed and opened with other bounds. No publisher may be using it.
func (a *agent) outboxFor(c config.Config) delivery.Outbox {
	wanted := struct {
		outbox config.Outbox
		queue  int
	}{c.Outbox, c.MQTT.Queue}
	if a.keeps != nil && a.keepsBy == any(wanted) {
		return a.keeps
	}
	if err := a.closeOutbox(); err != nil {
		a.log.Error("outbox not closed", "err", err)
	}
	a.keeps, a.keepsBy = a.openOutbox(c), wanted
	return a.keeps
}

// closeOutbox comes after every publisher has ended.
func (a *agent) closeOutbox() error {
	if a.outbox == nil {
		return nil
	}
	err := errors.Join(a.outbox.Close(), a.outboxLock.Close())
	a.outbox, a.outboxLock = nil, nil
	return err
}
