package command

import (
	"encoding/json"
	"maps"
	"time"

	"meltwatch/durable"
)

// idsFile holds the ids of commands whose deadline has not passed.
const idsFile = "commands.json"

// ids are the ids of received commands. Each is kept until its deadline, an hour at
// most, so commands.per_minute bounds their number.
type ids struct {
	files durable.Files // nil to keep ids in memory only
	seen  map[string]time.Time
}

// openIDs loads the ids of the last process. A damaged or missing file counts as empty.
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

// note stores an id and drops those whose deadline has passed. If the disk fails, the
// id is still kept in memory.
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
