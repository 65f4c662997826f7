package health

import "time"

// New returns a part's record that is on no registry yet: a part on trial keeps one
// beside the record of the part that it may replace.
func (r *Registry) New(limit time.Duration) *Part {
	now := time.Now()
	return &Part{registry: r, limit: limit, beat: now, state: Status{Status: "starting", Since: now}}
}

// Put puts a record on the registry, in the place of the one of that name. It counts
// as having beaten now: it may have waited off the registry.
func (r *Registry) Put(name string, p *Part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.beat = time.Now()
	r.parts[name] = p
}

// Remove takes a record off the registry.
func (r *Registry) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.parts, name)
}
