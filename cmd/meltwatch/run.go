package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"meltwatch/agent"
	"meltwatch/child"
	"meltwatch/config"
	"meltwatch/tick"
)

type runCommand struct {
	configFlag
	logFlags
}

// Run watches the furnace.
func (r runCommand) Run(ctx context.Context, o outside) error {
	text, err := config.Text(r.Config)
	if err != nil {
		return err
	}
	own, warnings, err := config.Tolerate(text)
	if err != nil {
		return fmt.Errorf("config %s:\n%w", r.Config, err)
	}
	env, err := newEnv(o.errOut, own.Log, r.logFlags)
	if err != nil {
		return err
	}
	log := env.Log
	for _, w := range warnings {
		log.Warn("setting invalid in this release: it has its old effect, but must be corrected before the next change", "setting", w.String())
	}
	a, err := agent.New(agent.Source{Path: r.Config, Document: text}, env)
	if err != nil {
		return err
	}
	ended := onHangup(ctx, a.Reload)
	log.Info("watching", "site", own.Site, "furnace", own.Furnace, "version", version)
	// Decoding, the model, replays and comparisons run in processes of their own. A log-in at the
	// page, the picture of an alarm or a new model computes here, and may delay a sample by the
	// scheduler's turn of 10 ms, which its uncertainty tells.
	child.OneProcessor()
	tick.From(time.Now().Add(250 * time.Millisecond)) // at first the rounds come between the polls of the usual meters
	err = errors.Join(notePID(own.Paths.State), a.Run(ctx))
	<-ended
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	log.Info("stopped")
	return err
}

// onHangup calls f at each SIGHUP until ctx ends, and then closes the channel.
func onHangup(ctx context.Context, f func()) <-chan struct{} {
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		defer signal.Stop(hangups)
		for {
			select {
			case <-hangups:
				f()
			case <-ctx.Done():
				return
			}
		}
	}()
	return ended
}
