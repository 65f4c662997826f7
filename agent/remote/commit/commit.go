// Package commit stores on disk which version runs, which is on trial and which was
// refused, so that after any end of the process the next one knows what to run and what
// to report.
//
// A version is staged before anything of it runs, and shown once its parts have made
// progress. It is settled, and becomes the good version, when the process has run it
// for a minute. Until then the previous good version is kept. A version under which the
// process dies three times within a minute of its start is refused. A death before a
// start under another kernel boot id does not count: the cause was a power cut or a
// reboot.
//
// Everything is in one file, which package durable replaces as a whole.
package commit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"meltwatch/agent/message"
	"meltwatch/durable"
)

// Deaths is the number of deaths after which a version is refused.
const Deaths = 3

// Journal keeps versions of one kind. It is owned by one goroutine.
type Journal[V any] struct {
	files  durable.Files
	name   string
	boot   string // the kernel's boot id
	record record[V]
	// Kind, unless nil, is where a version is from. The last refusal of each kind is
	// remembered: a version of one source must not make that of another be tried again.
	Kind func(good, v V) string
}

type record[V any] struct {
	Good    *V          `json:"good,omitempty"`
	Trial   *Trial[V]   `json:"trial,omitempty"`
	Refused *Refused[V] `json:"refused,omitempty"`
	// Before are the last refusals of other kinds, the last one first.
	Before []Refused[V] `json:"refused_before,omitempty"`
}

// Trial is a version that is not settled yet.
type Trial[V any] struct {
	Version V `json:"version"`
	// Shown reports whether its parts have made progress.
	Shown bool `json:"shown"`
	// Running reports whether a process has started with it and has neither run for a
	// minute nor ended as planned. Deaths counts the processes that died in this state.
	Running    bool   `json:"running"`
	Deaths     int    `json:"deaths"`
	KernelBoot string `json:"kernel_boot"`
}

// Refused is the last version that was tried and given up.
type Refused[V any] struct {
	Version V               `json:"version"`
	Faults  []message.Fault `json:"faults"`
	// Tried reports whether a part of it ran.
	Tried bool `json:"tried"`
}

// Open reads the journal. If it cannot be read or decoded, Open returns an error and an
// empty journal, with which only the local version is known.
func Open[V any](files durable.Files, name, kernelBoot string) (*Journal[V], error) {
	j := &Journal[V]{files: files, name: name, boot: kernelBoot}
	text, err := durable.ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &j.record)
	}
	if err != nil {
		j.record = record[V]{}
		return j, fmt.Errorf("read %s: %w; it is ignored", name, err)
	}
	return j, nil
}

// Good returns the last version that settled, and false before the first.
func (j *Journal[V]) Good() (V, bool) { return deref(j.record.Good) }

// Trial returns the version that has not settled yet.
func (j *Journal[V]) Trial() (Trial[V], bool) { return deref(j.record.Trial) }

// Refused returns the last version that was refused.
func (j *Journal[V]) Refused() (Refused[V], bool) { return deref(j.record.Refused) }

// Refusals returns the refusals that are remembered, the last one first.
func (j *Journal[V]) Refusals() (all []Refused[V]) {
	if j.record.Refused != nil {
		all = append(all, *j.record.Refused)
	}
	return append(all, j.record.Before...)
}

func deref[T any](p *T) (T, bool) {
	if p == nil {
		var none T
		return none, false
	}
	return *p, true
}

// Started records the start of a process. It refuses the version on trial if that has
// died too often, and reports this.
func (j *Journal[V]) Started() (died bool, err error) {
	if j.record.Trial == nil {
		return false, nil
	}
	next := *j.record.Trial
	if next.Running && next.KernelBoot == j.boot {
		next.Deaths++
	}
	if next.Deaths >= Deaths {
		return true, j.Refuse(true, message.Fault{Message: fmt.Sprintf("the agent died %d times within a minute of its start under it", next.Deaths)})
	}
	next.Running, next.KernelBoot = true, j.boot
	return false, j.put(j.with(j.record.Good, &next))
}

// Stage puts a version on trial. good is the running version, which is restored if v
// fails; it may be an earlier trial that was shown.
func (j *Journal[V]) Stage(v, good V) error {
	return j.put(j.with(&good, &Trial[V]{Version: v, Running: true, KernelBoot: j.boot}))
}

// Accept makes a version the good one without a trial, because it changes no part.
func (j *Journal[V]) Accept(v V) error { return j.put(j.with(&v, nil)) }

// Show records that the parts of the version on trial have made progress.
func (j *Journal[V]) Show() error {
	return j.change(func(t *Trial[V]) { t.Shown = true })
}

// Lived records that the process has run for a minute: a version that was shown
// settles; for another, a death no longer counts.
func (j *Journal[V]) Lived() error {
	if t := j.record.Trial; t != nil && t.Shown {
		return j.put(j.with(&t.Version, nil))
	}
	return j.change(func(t *Trial[V]) { t.Running = false })
}

// Ended records that the process ends as planned.
func (j *Journal[V]) Ended() error {
	return j.change(func(t *Trial[V]) { t.Running = false })
}

// Refuse refuses the version on trial; tried reports whether a part of it ran. If the
// disk fails, the refusal is still kept in memory.
func (j *Journal[V]) Refuse(tried bool, faults ...message.Fault) error {
	if j.record.Trial == nil {
		return nil
	}
	next := j.refusing(Refused[V]{j.record.Trial.Version, slices.Clone(faults), tried})
	next.Trial = nil
	return j.end(next)
}

// Withdraw ends the trial without a refusal: the version may be tried again. If the disk
// fails, it is still ended in memory.
func (j *Journal[V]) Withdraw() error {
	if j.record.Trial == nil {
		return nil
	}
	return j.end(j.with(j.record.Good, nil))
}

// with returns the record with other versions and the same refusals.
func (j *Journal[V]) with(good *V, trial *Trial[V]) record[V] {
	return record[V]{good, trial, j.record.Refused, j.record.Before}
}

// refusing returns the record with a further refusal.
func (j *Journal[V]) refusing(r Refused[V]) record[V] {
	next := j.record
	next.Refused, next.Before = &r, nil
	known := map[string]bool{j.kind(r.Version): true}
	for _, before := range j.Refusals() {
		if kind := j.kind(before.Version); !known[kind] {
			known[kind] = true
			next.Before = append(next.Before, before)
		}
	}
	return next
}

func (j *Journal[V]) kind(v V) string {
	if good, ok := j.Good(); ok && j.Kind != nil {
		return j.Kind(good, v)
	}
	return ""
}

// end ends a trial, in memory even if the disk fails.
func (j *Journal[V]) end(next record[V]) error {
	err := j.put(next)
	j.record = next
	return err
}

func (j *Journal[V]) change(f func(*Trial[V])) error {
	if j.record.Trial == nil {
		return nil
	}
	next := *j.record.Trial
	f(&next)
	return j.put(j.with(j.record.Good, &next))
}

// put replaces the file, and then the record in memory if that succeeded.
func (j *Journal[V]) put(next record[V]) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // a patch must stay as it was signed
	if err := encoder.Encode(next); err != nil {
		return fmt.Errorf("encode %s: %w", j.name, err)
	}
	if err := durable.Replace(j.files, j.name, text.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", j.name, err)
	}
	j.record = next
	return nil
}

// Reject records a version that was refused before it was staged.
func (j *Journal[V]) Reject(v V, faults ...message.Fault) error {
	return j.put(j.refusing(Refused[V]{v, slices.Clone(faults), false}))
}
