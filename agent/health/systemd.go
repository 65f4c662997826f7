package health

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"meltwatch/tick"
)

// Notify notifies systemd that the agent is ready, and feeds its watchdog while no part
// is stuck, until ctx ends. Without systemd it only logs stuck parts.
func Notify(ctx context.Context, b *Registry, log *slog.Logger) error {
	const keepEnvironment = false // the children and a second notifier need it too
	interval, err := daemon.SdWatchdogEnabled(keepEnvironment)
	if err != nil {
		return fmt.Errorf("read systemd's watchdog interval: %w", err)
	}
	if interval == 0 {
		interval = 10 * time.Second
	}
	if _, err := daemon.SdNotify(keepEnvironment, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	round := tick.New(interval / 4)
	defer round.Stop()
	for {
		select {
		case <-ctx.Done():
			_, err := daemon.SdNotify(keepEnvironment, daemon.SdNotifyStopping)
			return err
		case <-round.C:
			round.Next()
		}
		if stuck := b.Stuck(); len(stuck) > 0 {
			log.Error("part is stuck, watchdog not fed", "parts", stuck)
			continue
		}
		if _, err := daemon.SdNotify(keepEnvironment, daemon.SdNotifyWatchdog); err != nil {
			log.Warn("watchdog not fed", "err", err)
		}
	}
}
