package rollout

import (
	"os"
	"path/filepath"

	"meltwatch/agent/remote/commit"
	"meltwatch/durable"
	"meltwatch/inference"
)

// InForce returns the folder of the model with which an agent would start now: one that was
// rolled out, unless it is damaged, or own. It only reads.
func InForce(files durable.Files, folder, own string) string {
	// A damaged journal counts as none, as at the agent's start.
	journal, _ := commit.Open[ModelID](files, journalFile, "") //nolint:errcheck // see above
	good, _ := journal.Good()
	live := good
	if t, ok := journal.Trial(); ok {
		live = t.Version
	}
	for _, one := range []ModelID{live, good} {
		if one.SHA256 == "" {
			return own
		}
		path := filepath.Join(folder, one.SHA256)
		if _, err := inference.CheckFolder(path); err == nil {
			return path
		}
	}
	return own
}

// Packages returns the folders of the models on disk that were received from the broker:
// that in force, and the one before.
func Packages(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil // nothing was received yet
	}
	var all []string
	for _, e := range entries {
		const digits = 64
		if e.IsDir() && len(e.Name()) == digits {
			all = append(all, filepath.Join(folder, e.Name()))
		}
	}
	return all
}
