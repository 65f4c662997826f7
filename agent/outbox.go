package agent

import (
	"errors"
	"fmt"
	"io"

	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/outbox"
	"meltwatch/agent/settings"
	"meltwatch/config"
	"meltwatch/retry"
)

// openOutbox opens the outbox on disk. If that fails, records wait in memory until it
// succeeds: a fault of the disk must not stop the agent.
func (a *Agent) openOutbox(c config.Config) delivery.Outbox {
	if !c.Outbox.Enabled {
		return delivery.NewMemory(c.MQTT.Queue)
	}
	health := a.registry.Add("outbox", outboxLimit)
	faults := &retry.Faults{Log: a.log("outbox")}
	open := func() (delivery.Outbox, error) {
		err := a.tryOutbox(c, health)
		if err != nil {
			health.Fault(err)
			faults.Report(fmt.Errorf("outbox not opened, records wait in memory: %w", err))
			return nil, err
		}
		faults.Over()
		if a.env.Outbox != nil {
			return a.env.Outbox(a.outbox), nil
		}
		return a.outbox, nil
	}
	opened, err := open()
	if err != nil {
		return delivery.NewRecovering(c.MQTT.Queue, open)
	}
	return opened
}

// tryOutbox opens and locks the outbox on disk. It is called before the publisher runs
// and, after a failure, by the publisher's spooler; closeOutbox comes after both.
func (a *Agent) tryOutbox(c config.Config, health *health.Part) error {
	disk := a.env.Files(settings.OutboxFolder(c))
	var lock io.Closer = io.NopCloser(nil)
	if lockable, ok := disk.(interface{ Lock() (io.Closer, error) }); ok {
		var err error
		if lock, err = lockable.Lock(); err != nil {
			return err
		}
	}
	opened, err := outbox.Open(disk, settings.Outbox(c),
		a.log("outbox"), health, func(i outbox.Incident) { a.reporter.OutboxIncident(i) })
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	a.outbox, a.outboxLock = opened, lock
	return nil
}

// outboxFor returns the outbox for a configuration: the open one, or that one reopened
// with other bounds. No publisher may be using it.
func (a *Agent) outboxFor(c config.Config) delivery.Outbox {
	by := any(struct {
		outbox config.Outbox
		queue  int
	}{c.Outbox, c.MQTT.Queue})
	if a.openedBy == by {
		return a.opened
	}
	if err := a.closeOutbox(); err != nil {
		a.env.Log.Error("outbox not closed", "err", err)
	}
	a.opened, a.openedBy = a.openOutbox(c), by
	return a.opened
}

// closeOutbox closes the outbox. All publishers must have ended.
func (a *Agent) closeOutbox() error {
	if a.outbox == nil {
		return nil
	}
	err := errors.Join(a.outbox.Close(), a.outboxLock.Close())
	a.outbox, a.outboxLock = nil, nil
	return err
}
