package command

import (
	"encoding/json"
	"maps"
	"time"

	"meltwatch/durable"
)

// idsFile holds the ids of commands whose deadline has not passed.
const idsFile = "commands.json"

// ids are the ids seen, each until its deadline: an hour at most, so
// commands.per_minute bounds them.
type ids struct {
	files durable.Files // nil: in memory alone
	seen  map[string]time.Time
}

// openIDs loads the ids that the last process noted. A damaged or missing file holds
// none.
func openIDs(files durable.Files) *ids {
	i := &ids{files: files, seen: map[string]time.Time{}}
	text, err := durable.ReadFile(files, idsFile)
	if err == nil && json.Unmarshal(text, &i.seen) != nil || i.seen == nil {
		i.seen = map[string]time.Time{}
	}
	return i
}

func (i *ids) known(id string) bool {
	_, known := i.seen[id]
	return known
}

// note remembers an id and drops those whose deadline has passed. It stays in memory
// even if the disk refuses it.
func (i *ids) note(id string, deadline, now time.Time) error {
	maps.DeleteFunc(i.seen, func(_ string, until time.Time) bool { return now.After(until) })
	i.seen[id] = deadline
	if i.files == nil {
		return nil
	}
	text, err := json.Marshal(i.seen)
	if err != nil {
		return err
	}
	return durable.Replace(i.files, idsFile, text)
}
