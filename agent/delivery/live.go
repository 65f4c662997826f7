package delivery

import (
	"slices"

	"meltwatch/agent/message"
)

// next takes the next message for a live topic; payload is nil if nothing waits. current
// reports whether it may be one of current. A message that the broker refuses is set
// aside.
func (p *Publisher) next(current bool) (topic string, retained bool, payload []byte, records []*record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		topic, retained, payload, records = p.upcoming(current)
		if payload == nil {
			return topic, retained, nil, nil
		}
		size := p.size(topic, payload)
		if p.limit.admits(size) {
			return topic, retained, payload, records
		}
		p.keepBack(topic, size, records)
	}
}

// upcoming takes the next message, also one that the broker refuses. The lock is held.
func (p *Publisher) upcoming(current bool) (topic string, retained bool, payload []byte, records []*record) {
	first := slices.IndexFunc(p.live, func(r *record) bool { return current || r.class != message.ClassCurrent })
	switch {
	case first >= 0 && p.live[first].class == message.ClassCurrent:
		records = p.takeSamples(first)
		return message.TopicCurrent, false, message.Pack(p.payloads(records), false), records
	case first >= 0:
		r := p.live[first]
		p.live = slices.Delete(p.live, first, first+1)
		return string(r.class), r.class == message.ClassState, p.stamper.Restamp(r.class, r.payload), []*record{r}
	}
	if topic, payload := p.nextChanged(); payload != nil {
		switch topic {
		case message.TopicAlarm:
			payload = p.stamper.Restamp(message.ClassAlarm, payload)
		case message.TopicSuspicion:
			payload = p.stamper.Restamp(message.ClassSuspicion, payload)
		case message.TopicHealth:
			payload = p.stamper.Restamp(message.ClassHealth, payload)
		}
		return topic, true, payload, nil
	}
	if a, ok := p.nextAnswer(); ok {
		return a.topic, false, a.payload, nil
	}
	return "", false, nil, nil
}

// takeSamples takes the waiting sample at an index of live and as many of the later ones
// as fit into its message. They may overtake records of other classes: each class is in
// order by itself. The lock is held.
func (p *Publisher) takeSamples(first int) (samples []*record) {
	size := p.size(message.TopicCurrent, nil) + message.PackOverhead
	full := false
	rest := p.live[:first]
	for _, r := range p.live[first:] {
		full = full || r.class == message.ClassCurrent && len(samples) > 0 &&
			(len(samples) == packSamples || !p.limit.fits(size+len(r.payload)+1))
		if full || r.class != message.ClassCurrent {
			rest = append(rest, r)
			continue
		}
		size += len(r.payload) + 1
		samples = append(samples, r)
	}
	clear(p.live[len(rest):])
	p.live = rest
	return samples
}
