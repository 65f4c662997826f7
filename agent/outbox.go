package main

import (
	"errors"
	"path/filepath"

	"meltwatch/agent/mqtt"
	"meltwatch/agent/outbox"
	"meltwatch/config"
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

// openOutbox opens the outbox on disk. Where that cannot be read, or is not
// wanted, records wait in memory: a disk is no reason to leave a furnace
// unwatched.
func (a *agent) openOutbox(c config.Config) mqtt.Outbox {
	if !c.Outbox.Enabled {
		return mqtt.NewMemory(c.MQTT.Queue)
	}
	health := a.board.Add("outbox", outboxLimit)
	disk := outbox.NewDisk(outboxFolder(c))
	lock, err := disk.Lock()
	if err == nil {
		a.outboxLock = lock
		a.outbox, err = outbox.Open(disk, outboxSettings(c.Outbox, c.MQTT.Queue),
			a.log.With("part", "outbox"), health, func(i outbox.Incident) { a.reporter.outboxIncident(i) })
	}
	if err != nil {
		health.Fault(err)
		a.log.Error("outbox not opened, records wait in memory", "err", err)
		return mqtt.NewMemory(c.MQTT.Queue)
	}
	return a.outbox
}

// outboxFor is the outbox as a configuration wants it: the one that is open, or
// that one closed and opened with other bounds. No publisher may be using it.
func (a *agent) outboxFor(c config.Config) mqtt.Outbox {
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
