package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"meltwatch/durable"
)

const (
	// file is the newest comparison of a recording.
	file = "comparison.json"
	// maxFile bounds it, in bytes: its lists are bounded.
	maxFile = 2 << 20
)

// Write keeps a comparison in a recording's folder, in the place of the one before.
func Write(files durable.Files, c *Comparison) error {
	text, err := json.Marshal(c)
	if err == nil {
		err = durable.Replace(files, file, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("paths.recordings: %s: %w", file, err)
	}
	return nil
}

// Read returns the last comparison of a recording, or nil if there is none.
func Read(files durable.Files) (*Comparison, error) {
	text, err := files.Read(file, maxFile+1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		var c *Comparison
		if c, err = parse(text); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("paths.recordings: %s: %w; compare again", file, err)
}

func parse(text []byte) (*Comparison, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("more than %d bytes", maxFile)
	}
	var c Comparison
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	if c.Version != format {
		return nil, fmt.Errorf("version %d is not %d, this release's", c.Version, format)
	}
	for _, d := range c.Differences {
		if !d.From.Before(d.To) {
			return nil, errors.New("an empty difference")
		}
	}
	return &c, nil
}
