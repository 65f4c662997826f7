package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"meltwatch/agent/message"
	"meltwatch/agent/remote"
	"meltwatch/agent/remote/commit"
	"meltwatch/agent/remote/rollout"
	"meltwatch/config"
	"meltwatch/durable"
)

// remoteLimit is how long the configuration's manager may take to come round: it
// waits for replaced parts to end, the slowest of which waits for a disk.
const remoteLimit = 45 * time.Second

type runCommand struct{ configFlag }

// Run watches the furnace.
func (r runCommand) Run(o outside) error {
	text, err := config.Text(r.Config)
	if err != nil {
		return err
	}
	own, warnings, err := config.Tolerate(text)
	if err != nil {
		return fmt.Errorf("config %s:\n%w", r.Config, err)
	}
	log, level := newLog(o.errOut, own.Log)
	for _, w := range warnings {
		log.Warn("this release refuses a setting in the file: it runs as before, but must be corrected before the next change", "setting", w.String())
	}
	a, manager, err := newManaged(r.Config, text, log, level)
	if err != nil {
		return err
	}
	ended := onHangup(o.ctx, manager.Reload)
	log.Info("watching", "site", own.Site, "furnace", own.Furnace, "version", version)
	err = errors.Join(notePID(own.Paths.State), a.run(o.ctx))
	<-ended
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	log.Info("stopped")
	return err
}

// newManaged builds an agent whose configuration can change while it runs. path
// is the box's own file, text its document.
func newManaged(path string, text []byte, log *slog.Logger, level *slog.LevelVar) (*agent, *remote.Manager, error) {
	own, _, err := config.Tolerate(text)
	if err != nil {
		return nil, nil, err
	}
	kernel, err := durable.KernelBoot()
	if err != nil {
		return nil, nil, err
	}
	var a *agent
	manager, c, err := remote.Open(remote.Settings{
		Files:      durable.Folder(filepath.Join(own.Paths.State, "remote")),
		KernelBoot: kernel,
		Root:       message.Root(own.Site, own.Furnace),
		ReadLocal:  func() ([]byte, error) { return config.Text(path) },
		Report:     func(r remote.Report) { a.reporter.configuration(r) },
		Log:        log.With("part", "remote"),
	}, text)
	if err != nil {
		return nil, nil, err
	}
	models, model := openModels(own, kernel, log, func(r rollout.Report) { a.reporter.model(r) })
	if a, err = newAgent(c, model, log, level); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(a.add("models", modelSection, a.buildLimits(models)), a.addCommands()); err != nil {
		return nil, nil, err
	}
	a.voice.hear(message.TopicConfigDesired, func(_ string, payload []byte) { manager.Desired(payload) })
	a.voice.hear(message.TopicModelDesired, func(_ string, payload []byte) { models.Desired(payload) })
	a.voice.hear(message.TopicModelChunk, hearChunk(models))
	a.voice.dress(a.voice.publisher())
	record, modelRecord := a.board.Add("remote", remoteLimit), a.board.Add("models", modelsLimit)
	a.services = append(a.services,
		service{"remote", func(ctx context.Context) error { return manager.Run(ctx, a, record) }},
		service{"models", func(ctx context.Context) error { return models.Run(ctx, a, modelRecord) }})
	return a, manager, nil
}

// configuration publishes where a configuration stands, and makes an event of
// each step that touches the agent.
func (r *reporter) configuration(report remote.Report) {
	text, err := json.Marshal(report)
	if err != nil {
		r.log.Error("config/reported not encoded", "err", err)
		return
	}
	r.agent.voice.Retain(message.TopicConfigReported, text)
	if report.Status == "rejected" {
		return // nothing was touched, and a flood of them must not fill the outbox
	}
	r.configSteps.to(r, "config", report.From, fmt.Sprintf("%s %d", report.Status, report.Revision), report.Errors)
}

// steps makes an event of each step that a change takes, once.
type steps struct{ last atomic.Pointer[string] }

func (s *steps) to(r *reporter, kind, subject, now string, faults []commit.Fault) {
	from := ""
	if before := s.last.Swap(&now); before != nil {
		from = *before
	}
	if from == now {
		return
	}
	causes := make([]string, len(faults))
	for i, f := range faults {
		causes[i] = strings.TrimPrefix(f.Key+": "+f.Message, ": ")
	}
	r.event(kind, subject, from, now, strings.Join(causes, "; "))
}

// onHangup calls f at each SIGHUP until ctx ends; the channel closes after that.
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
