package recorder

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"meltwatch/durable"
)

// Class is what a person says of a stretch.
type Class string

// The classes of a label. Doubtful seconds are not scored.
const (
	ClassAbnormal Class = "abnormal"
	ClassNormal   Class = "normal"
	ClassDoubtful Class = "doubtful"
)

// Label is what a person says of a stretch of a recording. A later line with the same ID
// replaces it.
type Label struct {
	ID    string    `json:"id"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Class Class     `json:"class"`
	// Onset is when an abnormal episode began; the zero time means From.
	Onset time.Time `json:"onset,omitzero"`
	// Alarm is the id of the alarm that the label confirms or rejects, or empty.
	Alarm string `json:"alarm,omitempty"`
	Note  string `json:"note,omitempty"`
	// By is who said so, At when.
	By string    `json:"by,omitempty"`
	At time.Time `json:"at"`
	// Removed withdraws the label.
	Removed bool `json:"removed,omitempty"`
}

const (
	maxLabel      = 24 * time.Hour
	maxText       = 500 // bytes of a note
	maxName       = 64
	maxLabelLines = 16 << 20 // bytes of the journal
	labelFile     = "labels.jsonl"
)

// Check reports the first invalid field, by its name and with the remedy.
func (l Label) Check() error {
	if err := l.checkTexts(); err != nil || l.Removed && l.ID != "" {
		return err
	}
	switch {
	case !slices.Contains([]Class{ClassAbnormal, ClassNormal, ClassDoubtful}, l.Class):
		return fmt.Errorf("class: %.20q is not one of abnormal, normal, doubtful", string(l.Class))
	case l.From.IsZero() || l.To.IsZero() || !l.From.Before(l.To):
		return errors.New("from: the stretch is empty; give from and to, with from before to")
	case l.To.Sub(l.From) > maxLabel:
		return errors.New("to: the stretch is longer than 24 h; divide it")
	case !l.Onset.IsZero() && (l.Onset.Before(l.From) || l.Onset.After(l.To)):
		return errors.New("onset: outside the stretch; set it between from and to")
	case !l.Onset.IsZero() && l.Class != ClassAbnormal:
		return errors.New("onset: only an abnormal stretch has one; remove it")
	case l.From.Year() < 1970 || l.To.Year() > lastYear:
		return errors.New("from: the year is not one of a recording")
	default:
		return nil
	}
}

// lastYear is the last that JSON can hold.
const lastYear = 9999

func (l Label) checkTexts() error {
	switch {
	case len(l.Note) > maxText || !plain(l.Note):
		return errors.New("note: longer than 500 bytes, or not plain text; shorten it")
	case len(l.By) > maxName || !plain(l.By):
		return errors.New("by: longer than 64 bytes, or not plain text; shorten it")
	case len(l.Alarm) > maxName || !plain(l.Alarm):
		return errors.New("alarm: not the id of an alarm")
	case len(l.ID) > maxName || !plain(l.ID):
		return errors.New("id: not the id of a label")
	case len(l.Class) > maxName || !plain(string(l.Class)):
		return errors.New("class: not one of abnormal, normal, doubtful")
	default:
		return nil
	}
}

func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// Labels is the journal of labels, a file of JSON lines beside the segments. It is safe
// for concurrent use by one process.
type Labels struct {
	files durable.Files
	mu    sync.Mutex
}

// OpenLabels returns the journal in a recording's folder, which need not exist yet.
func OpenLabels(files durable.Files) *Labels { return &Labels{files: files} }

// All returns the labels that hold, by time.
func (j *Labels) All() ([]Label, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	all, _, err := j.read()
	return all, err
}

// read returns the labels that hold, and the bytes of the journal that are intact.
func (j *Labels) read() (all []Label, intact int64, err error) {
	data, err := j.files.Read(labelFile, maxLabelLines)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("paths.recordings: %s: %w", labelFile, err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1 // a power cut may have torn the last line
	byID := map[string]Label{}
	for line := range bytes.Lines(data[:whole]) {
		var l Label
		if json.Unmarshal(line, &l) != nil || l.Check() != nil || l.ID == "" {
			continue // damaged by a power cut, or written by hand
		}
		if l.Removed {
			delete(byID, l.ID)
		} else {
			byID[l.ID] = l
		}
	}
	for _, l := range byID {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Label) int {
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, int64(whole), nil
}

// Put adds labels, or replaces those with the same IDs, durably. It returns them with
// their IDs.
func (j *Labels) Put(labels ...Label) ([]Label, error) {
	var text bytes.Buffer
	for i := range labels {
		l := &labels[i]
		if err := l.Check(); err != nil {
			return nil, err
		}
		if l.ID == "" {
			l.ID = rand.Text()[:16]
		}
		if err := appendLine(&text, l); err != nil {
			return nil, err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, intact, err := j.read()
	if err != nil {
		return nil, err
	}
	if intact+int64(text.Len()) > maxLabelLines {
		return nil, fmt.Errorf("paths.recordings: %s is full; export the labels and move the file away", labelFile)
	}
	return labels, j.append(intact, text.Bytes())
}

func (j *Labels) append(at int64, text []byte) error {
	file, err := j.open(at)
	if err != nil {
		return fmt.Errorf("paths.recordings: %w", err)
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("paths.recordings: %w", err)
	}
	return nil
}

// open opens the journal for writing at an offset.
func (j *Labels) open(at int64) (durable.File, error) {
	if at > 0 {
		return j.files.Extend(labelFile, at)
	}
	if err := j.files.MakeFolder("."); err != nil {
		return nil, err
	}
	file, err := j.files.Create(labelFile)
	if err != nil {
		return nil, err
	}
	return file, j.files.SyncFolder(".")
}
