package agent

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"go.yaml.in/yaml/v3"

	"meltwatch/agent/message"
	"meltwatch/agent/recorder"
	"meltwatch/agent/settings"
	"meltwatch/agent/web"
	"meltwatch/config"
)

// webSection is the page's own section, and the folder that it shows.
func webSection(c config.Config) any {
	return struct {
		web      config.Web
		recorder bool
		folder   string
	}{c.Web, c.Recorder.Enabled, settings.RecordingsFolder(c)}
}

// buildWeb builds the local page. It works at once: a port in use is told in health and
// tried again, and must not undo a change of the configuration. An invalid password is
// refused in a change, but does not keep an agent from its start.
func (a *Agent) buildWeb(c config.Config) (*instance, error) {
	if c.Web.Listen == "" {
		return &instance{activate: func() { a.registry.Remove("web") }, missing: worksAtOnce}, nil
	}
	if _, err := a.passwords.read(c.Web); err != nil && a.has("web") {
		return nil, err
	}
	record := a.registry.New(webLimit)
	source := a.pageSource(c)
	if c.Recorder.Enabled {
		folder := settings.RecordingsFolder(c)
		source.Library = recorder.OpenLibrary(folder)
		source.Labels = recorder.OpenLabels(a.env.Files(folder))
	}
	log := a.log("web")
	server := &web.Server{
		Address: c.Web.Listen, Source: source, Log: log, Observer: record, Sessions: a.sessions,
		Listening: func(at net.Addr) { log.Info("page is served", "page", "http://"+at.String()) },
	}
	return &instance{
		activate: func() { a.registry.Put("web", record) },
		run: func(ctx context.Context) error {
			hash, err := a.passwords.read(c.Web) // again at each start: the file may be corrected
			if err != nil {
				record.Fault(err)
				return err
			}
			server.PasswordHash = hash
			if c.Web.PasswordFile != "" {
				server.Reread = func() ([]byte, error) { return a.passwords.read(c.Web) }
			}
			if a.manager != nil {
				server.Source.Changer = pageChanger{a.manager, a.reporter.Event}
			}
			return server.Run(ctx)
		},
		missing: worksAtOnce,
	}, nil
}

func (a *Agent) pageSource(c config.Config) web.Source {
	views := newSharedViews(a.pageView)
	return web.Source{
		Site: c.Site, Furnace: c.Furnace, Version: a.env.Version,
		State: a.reporter.Newest, Alarm: a.alarms.Newest, Suspicion: a.suspicions.Newest, Health: a.registry.Snapshot, Thresholds: a.thresholds,
		Config: a.configInForce, View: views.view, Crop: a.pageCrop,
		Acknowledge: a.acknowledge, Shelve: a.shelve,
		Mark: func(by, text string) { a.reporter.Event("mark", by, "", "", text) },
		Labelled: func(l recorder.Label) {
			said := string(l.Class)
			if l.Removed {
				said = "removed"
			}
			stretch := l.From.UTC().Format(time.RFC3339) + " to " + l.To.UTC().Format(time.RFC3339)
			a.reporter.Event("label", l.ID, "", said, "by "+l.By+": "+stretch)
		},
		Live: &a.page, Comparer: a.comparer, Prober: a.prober,
	}
}

// configInForce is the running configuration as YAML, without a secret.
func (a *Agent) configInForce() (string, error) {
	var text bytes.Buffer
	out := yaml.NewEncoder(&text)
	const indent = 2
	out.SetIndent(indent)
	err := errors.Join(out.Encode(a.config.Load().Shown()), out.Close())
	return text.String(), err
}

// pageWidth is the width of the page's pictures, in pixels.
const pageWidth = 960

// pageView is the newest picture for the page, with or without the evidence.
func (a *Agent) pageView(evidence bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), viewLimit)
	defer cancel()
	if !evidence {
		const quality = 75
		jpeg, _, err := a.view(ctx, pageWidth, quality)
		return jpeg, err
	}
	of := message.Alarm{}
	if s := a.reporter.Newest(); s != nil && s.Counted.Video {
		of.Evidence = s.Evidence
	}
	of.Change = a.change.Load()
	return a.evidenceSnapshot(ctx, of)
}

// sharedViews gives all who ask at a time the same pictures: the camera's child, which the
// decision needs, makes at most a few a second for all viewers together.
type sharedViews struct {
	take func(evidence bool) ([]byte, error)
	kept [2]sharedView // without and with the evidence
}

type sharedView struct {
	turn chan struct{} // held by who takes or reads it
	at   time.Time
	jpeg []byte
	err  error
}

func newSharedViews(take func(evidence bool) ([]byte, error)) *sharedViews {
	s := &sharedViews{take: take}
	for i := range s.kept {
		s.kept[i].turn = make(chan struct{}, 1)
	}
	return s
}

// viewFresh is how long a picture is shared.
const viewFresh = 500 * time.Millisecond

func (s *sharedViews) view(ctx context.Context, evidence bool) ([]byte, error) {
	one := &s.kept[0]
	if evidence {
		one = &s.kept[1]
	}
	select {
	case one.turn <- struct{}{}:
		defer func() { <-one.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if time.Since(one.at) >= viewFresh {
		one.jpeg, one.err = s.take(evidence)
		one.at = time.Now()
	}
	return one.jpeg, one.err
}

func (a *Agent) pageCrop() web.Crop {
	c := a.config.Load().Camera.Crop
	crop := web.Crop{X: c.X, Y: c.Y, Width: c.Width, Height: c.Height}
	if sized, ok := a.video.source().(interface{ PictureSize() (width, height int) }); ok {
		crop.PictureWidth, crop.PictureHeight = sized.PictureSize()
	}
	return crop
}
