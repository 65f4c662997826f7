// Package commit keeps on disk what runs, what is being tried and what was given
// up, so that whatever ends the process, the next one knows what to run and what
// to say about it.
//
// A version is staged before anything of it runs, shown once its parts have
// proved that they work, and settled, which makes it the good one, when the
// process has lived under it for a minute. Until then the good one before it is
// kept beside it. A version under which the process dies three times within a
// minute of its start is refused; a start under another kernel boot id follows a
// power cut or a reboot of the box, which says nothing about the version, and
// does not count.
//
// Everything stands in one file, which is replaced whole: written beside,
// synced, renamed, the folder synced. A kill or power cut at any point leaves
// the file before or the file after.
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

// Deaths is how many deaths refuse a version.
const Deaths = 3

// Journal keeps versions of one kind. It is owned by one goroutine.
type Journal[V any] struct {
	files  durable.Files
	name   string
	boot   string // the kernel's boot id
	record record[V]
}

type record[V any] struct {
	Good    *V          `json:"good,omitempty"`
	Trial   *Trial[V]   `json:"trial,omitempty"`
	Refused *Refused[V] `json:"refused,omitempty"`
}

// Trial is a version that is not settled yet.
type Trial[V any] struct {
	Version V `json:"version"`
	// Shown: its parts have proved that they work.
	Shown bool `json:"shown"`
	// Running: a process began to run it, has not lived for a minute since, and has
	// not ended on purpose. Deaths counts those that died so.
	Running    bool   `json:"running"`
	Deaths     int    `json:"deaths"`
	KernelBoot string `json:"kernel_boot"`
}

// Refused is the last version that was tried and given up.
type Refused[V any] struct {
	Version V               `json:"version"`
	Faults  []message.Fault `json:"faults"`
	// Tried: something of it ran.
	Tried bool `json:"tried"`
}

// Open reads the journal. One that cannot be read or understood is an error that
// comes with an empty journal: nothing is known then but the local file.
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
		return j, fmt.Errorf("read %s: %w; it is passed over", name, err)
	}
	return j, nil
}

// Good is the last version that settled; false before the first.
func (j *Journal[V]) Good() (V, bool) { return deref(j.record.Good) }

// Trial is the version that has not settled yet.
func (j *Journal[V]) Trial() (Trial[V], bool) { return deref(j.record.Trial) }

// Refused is the last version that was given up.
func (j *Journal[V]) Refused() (Refused[V], bool) { return deref(j.record.Refused) }

func deref[T any](p *T) (T, bool) {
	if p == nil {
		var none T
		return none, false
	}
	return *p, true
}

// Started tells the journal that a process begins with what it holds. A version
// that has killed its process once too often is refused and reported back.
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
	return false, j.put(record[V]{j.record.Good, &next, j.record.Refused})
}

// Stage puts a version on trial. good is what runs now and is fallen back to; a
// trial before it that was shown counts as that.
func (j *Journal[V]) Stage(v, good V) error {
	return j.put(record[V]{&good, &Trial[V]{Version: v, Running: true, KernelBoot: j.boot}, j.record.Refused})
}

// Accept makes a version the good one without a trial: it changes nothing that
// runs.
func (j *Journal[V]) Accept(v V) error { return j.put(record[V]{Good: &v, Refused: j.record.Refused}) }

// Show notes that the version on trial has proved itself.
func (j *Journal[V]) Show() error {
	return j.change(func(t *Trial[V]) { t.Shown = true })
}

// Lived notes that the process has lived for a minute: a version that was shown
// settles, another is no longer blamed for a death.
func (j *Journal[V]) Lived() error {
	if t := j.record.Trial; t != nil && t.Shown {
		return j.put(record[V]{Good: &t.Version, Refused: j.record.Refused})
	}
	return j.change(func(t *Trial[V]) { t.Running = false })
}

// Ended notes that the process ends on purpose.
func (j *Journal[V]) Ended() error {
	return j.change(func(t *Trial[V]) { t.Running = false })
}

// Refuse gives the version on trial up; tried says that something of it ran. It
// is given up in memory even where the disk refuses to note it.
func (j *Journal[V]) Refuse(tried bool, faults ...message.Fault) error {
	if j.record.Trial == nil {
		return nil
	}
	next := record[V]{Good: j.record.Good, Refused: &Refused[V]{j.record.Trial.Version, slices.Clone(faults), tried}}
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
	return j.put(record[V]{j.record.Good, &next, j.record.Refused})
}

// put replaces the file; what is in memory follows only when that worked.
func (j *Journal[V]) put(next record[V]) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // a patch stays as it was signed
	if err := encoder.Encode(next); err != nil {
		return fmt.Errorf("encode %s: %w", j.name, err)
	}
	if err := durable.Replace(j.files, j.name, text.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", j.name, err)
	}
	j.record = next
	return nil
}

// Reject notes a version that was given up before it was staged.
func (j *Journal[V]) Reject(v V, faults ...message.Fault) error {
	return j.put(record[V]{j.record.Good, j.record.Trial, &Refused[V]{v, slices.Clone(faults), false}})
}
