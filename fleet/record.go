package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"meltwatch/config/strict"
	"meltwatch/durable"
)

// record holds the last revision that a key has signed for each agent. Reports at the
// broker are not signed, and a forged one must not choose the next revision.
type record struct {
	file string

	mu   sync.Mutex
	last map[string]int64
}

// mostRecord bounds the file, in bytes: some ten thousand agents.
const mostRecord = 1 << 20

// openRecord reads a record; a missing file is an empty record.
func openRecord(file string) (*record, error) {
	r := &record{file: file, last: map[string]int64{}}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = strict.Decode(text, mostRecord, &r.last)
	}
	if err != nil {
		return nil, fmt.Errorf("record of signed revisions %s: %w: remove it, and give --revision once", file, err)
	}
	return r, nil
}

func (r *record) of(agent string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[agent]
}

// note stores a revision. It must be on disk before the document is published, so
// that no revision is signed twice.
func (r *record) note(agent string, revision int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[agent] = revision
	text, err := json.MarshalIndent(r.last, "", "  ")
	if err == nil {
		err = durable.Replace(durable.Folder(filepath.Dir(r.file)), filepath.Base(r.file), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("record of signed revisions: %w: name another file with --record", err)
	}
	return nil
}

// next returns the revision to sign for an agent. signed is the revision of the document
// at the broker if this key signed it, else 0; claimed is the highest in any report
// there; wanted is the one on the command line, 0 for none.
func (r *record) next(agent string, signed, claimed, wanted int64) (int64, error) {
	known := max(signed, r.of(agent))
	switch {
	case wanted != 0 && wanted <= known:
		return 0, fmt.Errorf("--revision %d: this key has already signed %d", wanted, known)
	case wanted != 0:
		return wanted, nil
	case known == 0 && claimed > 0:
		return 0, fmt.Errorf("the broker reports revision %d, which this key has not signed and %s does not record: check on the box which revision runs, and give the next one with --revision", claimed, r.file)
	}
	return known + 1, nil
}
