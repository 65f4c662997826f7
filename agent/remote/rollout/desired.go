package rollout

import (
	"context"
	"fmt"

	"meltwatch/agent/message"
	"meltwatch/agent/remote/commit"
)

// request is a document that has passed the checks; own requests the local model.
type request struct {
	document message.ModelDesired
	own      bool
}

// process checks payloads of model/desired in the order of arrival and applies only the
// newest valid one.
func (m *Manager) process(ctx context.Context, payloads [][]byte) {
	limits, newest := m.limit(), (*request)(nil)
	for _, payload := range payloads {
		w, faults := m.read(payload, limits)
		if newest != nil && !newest.own && !w.own && len(faults) == 0 && w.document.Revision < newest.document.Revision {
			faults = message.OneFault("revision", fmt.Sprintf("%d is older than %d, which arrived before it", w.document.Revision, newest.document.Revision))
		}
		if len(faults) > 0 {
			m.publish(modelOf(w.document), message.Rejected, nil, faults...)
			continue
		}
		newest = &w
	}
	if newest != nil {
		m.apply(ctx, *newest)
	}
}

// read decodes a payload and returns the reasons to reject it.
func (m *Manager) read(payload []byte, limits Limits) (request, []message.Fault) {
	if !limits.Enabled {
		return request{document: message.ModelDesired{Revision: m.live.Revision, SignedPackage: message.SignedPackage{SHA256: m.live.SHA256}}},
			message.OneFault("remote.model", "is false on this box: documents on model/desired are ignored")
	}
	if len(payload) == 0 {
		return request{own: true}, nil
	}
	d, faults := message.ParseModelDesired(payload)
	if len(faults) == 0 {
		faults = m.refusal(d, limits)
	}
	return request{document: d}, faults
}

func (m *Manager) apply(ctx context.Context, w request) {
	m.closeDownload()
	if w.own {
		m.useLocal(ctx)
		return
	}
	d := w.document
	if refused, ok := m.journal.Refused(); ok && refused.Version.same(modelOf(d)) {
		status := message.Rejected
		if refused.Tried {
			status = message.RolledBack
		}
		m.publish(modelOf(d), status, nil, refused.Faults...)
		return
	}
	if d.SHA256 == m.live.SHA256 {
		m.accept(modelOf(d))
		return
	}
	m.obtain(ctx, d)
}

// superseded reports whether a document is waiting that must replace model. An older or
// refused document does not count, nor does a repetition, which the broker sends at
// each connection.
func (m *Manager) superseded(model ModelID) bool {
	waiting, puts := m.mailbox.Peek()
	if puts == m.ignored {
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
	m.ignored = puts
	return false
}

// refusal returns the reasons to reject a package before any of it has arrived.
func (m *Manager) refusal(d message.ModelDesired, limits Limits) []message.Fault {
	running := commit.Base(m.live.Revision)
	if d.Revision < running || d.Revision == running && d.SHA256 != m.live.SHA256 {
		return message.OneFault("revision", fmt.Sprintf("%d is not newer than the live model's %d: publish it under a higher revision", d.Revision, running))
	}
	if err := commit.CheckRevision(d.Revision, m.live.Revision); err != nil {
		return message.OneFault("revision", err.Error())
	}
	if err := d.Verify(limits.Keys); err != nil {
		return message.OneFault("signature", err.Error())
	}
	if d.Size > limits.Package {
		return message.OneFault("size", fmt.Sprintf("%d bytes exceed remote.model_mb of this box, %d bytes", d.Size, limits.Package))
	}
	return nil
}

// accept records a document that requests the live model.
func (m *Manager) accept(model ModelID) {
	if !model.same(m.live) {
		model.Before = m.live.Before
		if err := m.journal.Accept(model); err != nil {
			m.observer.Fault(err)
		}
		m.live = model
	}
	m.publish(model, message.Live, nil)
}

// useLocal returns to the local model, as an empty payload requests.
func (m *Manager) useLocal(ctx context.Context) {
	own := ModelID{}
	if m.live.SHA256 == "" {
		m.accept(own)
		return
	}
	m.run(ctx, message.ModelDesired{ShadowS: message.DefaultShadow, WatchS: message.DefaultWatch}, own)
}

func modelOf(d message.ModelDesired) ModelID { return ModelID{Revision: d.Revision, SHA256: d.SHA256} }
