package rollout

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"meltwatch/agent/remote/commit"
	"meltwatch/agent/remote/pack"
	"meltwatch/config/strict"
)

// MaxDesired bounds a payload of model/desired, in bytes.
const MaxDesired = 64 << 10

// Desired is the payload of model/desired.
type Desired struct {
	// Revision counts a furnace's documents; each must be higher than the last.
	Revision int64 `json:"revision"`
	pack.Signed
	// URL is where the package lies: https://… or file:///…; empty to receive it
	// by chunks.
	URL string `json:"url,omitempty"`
	// ShadowS is how long the model shadows the live one, WatchS how long it may
	// still be sent back after the switch, in seconds.
	ShadowS int `json:"shadow_s,omitempty"`
	WatchS  int `json:"watch_s,omitempty"`
	// MinAgreement rejects a model that agrees with the live one in a smaller
	// share of the shadow's seconds; 0 asks for none.
	MinAgreement float64 `json:"min_agreement,omitempty"`
}

// longestURL bounds a URL in bytes.
const longestURL = 4096

const (
	defaultShadow = 120
	defaultWatch  = 60
)

// ParseDesired decodes a payload strictly.
func ParseDesired(payload []byte) (Desired, []Fault) {
	var d Desired
	if err := strict.Decode(payload, MaxDesired, &d); err != nil {
		return d, blame("", "not a document of model/desired: "+err.Error())
	}
	if d.ShadowS == 0 {
		d.ShadowS = defaultShadow
	}
	if d.WatchS == 0 {
		d.WatchS = defaultWatch
	}
	return d, d.check()
}

func (d Desired) check() []Fault {
	switch {
	case d.Revision < 1:
		return blame("revision", fmt.Sprintf("%d is invalid: revisions start at 1", d.Revision))
	case d.Size < 1:
		return blame("size", "is not the size of a package: take the file that `meltwatch model sign` wrote")
	case d.ShadowS < 5 || d.ShadowS > 7*86_400:
		return blame("shadow_s", fmt.Sprintf("%d is out of bounds: want 5 to 604800 seconds", d.ShadowS))
	case d.WatchS < 5 || d.WatchS > 3600:
		return blame("watch_s", fmt.Sprintf("%d is out of bounds: want 5 to 3600 seconds", d.WatchS))
	case !(d.MinAgreement >= 0 && d.MinAgreement <= 1):
		return blame("min_agreement", fmt.Sprintf("%g is not a share: want 0 to 1", d.MinAgreement))
	}
	return d.checkURL()
}

func (d Desired) checkURL() []Fault {
	if d.URL == "" {
		return nil
	}
	if len(d.URL) > longestURL {
		return blame("url", fmt.Sprintf("has %d bytes: at most %d are allowed", len(d.URL), longestURL))
	}
	u, err := url.Parse(d.URL)
	switch {
	case err != nil || u.User != nil:
		return blame("url", "is not a URL without user and password")
	case u.Scheme == "https" && u.Host != "", u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	}
	return blame("url", "want https://host/path or file:///path")
}

func (d Desired) model() ModelID { return ModelID{Revision: d.Revision, SHA256: d.SHA256} }

func (d Desired) shadow() time.Duration { return time.Duration(d.ShadowS) * time.Second }
func (d Desired) watch() time.Duration  { return time.Duration(d.WatchS) * time.Second }

// blame is the one fault of a member.
func blame(key, message string) []Fault { return []Fault{{Key: key, Message: message}} }

// request is a document that may be obeyed; own asks for the box's own model.
type request struct {
	document Desired
	own      bool
}

// process reads payloads of model/desired in the order of arrival and obeys only the
// newest acceptable one.
func (m *Manager) process(ctx context.Context, payloads [][]byte) {
	limits, newest := m.limit(), (*request)(nil)
	for _, payload := range payloads {
		w, faults := m.read(payload, limits)
		if newest != nil && !newest.own && !w.own && len(faults) == 0 && w.document.Revision < newest.document.Revision {
			faults = blame("revision", fmt.Sprintf("%d is older than %d, which came before it", w.document.Revision, newest.document.Revision))
		}
		if len(faults) > 0 {
			m.publish(w.document.model(), rejected, nil, faults...)
			continue
		}
		newest = &w
	}
	if newest != nil {
		m.apply(ctx, *newest)
	}
}

// read decodes a payload and returns the reasons to reject it.
func (m *Manager) read(payload []byte, limits Limits) (request, []Fault) {
	if !limits.Enabled {
		return request{document: Desired{Revision: m.live.Revision, Signed: pack.Signed{SHA256: m.live.SHA256}}},
			blame("remote.model", "is false on this box: documents on model/desired are not obeyed")
	}
	if len(payload) == 0 {
		return request{own: true}, nil
	}
	d, faults := ParseDesired(payload)
	if len(faults) == 0 {
		faults = m.refusal(d, limits)
	}
	return request{document: d}, faults
}

func (m *Manager) apply(ctx context.Context, w request) {
	m.closeDownload()
	if w.own {
		m.takeOwn(ctx)
		return
	}
	d := w.document
	if refused, ok := m.journal.Refused(); ok && refused.Version.same(d.model()) {
		status := rejected
		if refused.Tried {
			status = rolledBack
		}
		m.publish(d.model(), status, nil, refused.Faults...)
		return
	}
	if d.SHA256 == m.live.SHA256 {
		m.accept(d.model())
		return
	}
	m.obtain(ctx, d)
}

// superseded reports whether a document is waiting that must replace model. An older
// or refused document, or the same one again, as at each reconnection, does not
// count.
func (m *Manager) superseded(model ModelID) bool {
	waiting, puts := m.mailbox.Peek()
	if puts == m.judged {
		return false
	}
	for _, payload := range waiting {
		w, faults := m.read(payload, m.limit())
		switch {
		case len(faults) > 0:
		case w.own && model != (ModelID{}), w.document.Revision > model.Revision:
			return true
		}
	}
	m.judged = puts
	return false
}

// refusal is what can be said against a package before any of it has arrived.
func (m *Manager) refusal(d Desired, limits Limits) []Fault {
	running := commit.Base(m.live.Revision)
	if d.Revision < running || d.Revision == running && d.SHA256 != m.live.SHA256 {
		return blame("revision", fmt.Sprintf("%d is not newer than %d, which decides: publish it under a higher revision", d.Revision, running))
	}
	if err := commit.CheckRevision(d.Revision, m.live.Revision); err != nil {
		return blame("revision", err.Error())
	}
	if err := d.Verify(limits.Keys); err != nil {
		return blame("signature", err.Error())
	}
	if d.Size > limits.Package {
		return blame("size", fmt.Sprintf("%d bytes are more than remote.model_mb of this box allows, %d", d.Size, limits.Package))
	}
	return nil
}

// accept notes a document that asks for what decides already.
func (m *Manager) accept(model ModelID) {
	if !model.same(m.live) {
		model.Before = m.live.Before
		if err := m.journal.Accept(model); err != nil {
			m.observer.Fault(err)
		}
		m.live = model
	}
	m.publish(model, statusLive, nil)
}

// takeOwn goes back to the box's own model: an empty payload asks for it.
func (m *Manager) takeOwn(ctx context.Context) {
	own := ModelID{}
	if m.live.SHA256 == "" {
		m.accept(own)
		return
	}
	m.run(ctx, Desired{ShadowS: defaultShadow, WatchS: defaultWatch}, own)
}
