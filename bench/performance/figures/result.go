package figures

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Result is everything that was measured of one part. It is a file in the folder of
// results, so that a measurement that was interrupted goes on where it stopped.
type Result struct {
	Part     string    `json:"part"`
	Command  string    `json:"command"`
	Version  string    `json:"version"` // of the programs that were measured
	Machine  Machine   `json:"machine"`
	Measured time.Time `json:"measured"` // when the last round ended
	Rounds   []Round   `json:"rounds"`
}

func path(folder, part string) string { return filepath.Join(folder, part+".json") }

// Load returns the result of a part, and one without rounds if nothing was measured yet.
func Load(folder, part string) (Result, error) {
	r := Result{Part: part}
	text, err := os.ReadFile(path(folder, part))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w; remove the file and measure again", path(folder, part), err)
	}
	if r.Part != part {
		return r, fmt.Errorf("%s: holds part %q; remove the file and measure again", path(folder, part), r.Part)
	}
	return r, nil
}

// Save writes the result so that an interruption leaves the file of before or after.
func (r Result) Save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results of %s: %w", r.Part, err)
	}
	next := path(folder, r.Part) + ".new"
	if err := os.WriteFile(next, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path(folder, r.Part))
}
