package check

import (
	"context"
	"fmt"
	"path/filepath"

	"meltwatch/agent/settings"
	"meltwatch/config"
)

// tryRecordings writes into the folder of the recordings as the agent does, and looks for
// room: with less the agent works, and keeps less.
func tryRecordings(_ context.Context, k *checker) outcome {
	if !k.config.Recorder.Enabled {
		return skipped("nothing is recorded: recorder.enabled is false")
	}
	folder, key := settings.RecordingsFolder(k.config), "paths.state"
	if k.config.Paths.Recordings != "" {
		key = "paths.recordings"
	}
	missing, err := k.tryFolder(folder)
	if err == nil && len(missing) == 0 {
		err = foreign(folder)
	}
	if err != nil {
		return failure(config.KeyErrorf(key, "%w", err))
	}
	existing := folder
	if len(missing) > 0 {
		existing = filepath.Dir(missing[len(missing)-1])
	}
	s, err := k.space(existing)
	if err != nil {
		return failure(config.KeyErrorf(key, "free space of %s: %w", existing, err))
	}
	free, least := freeBytes(s)/megabyte, int64(k.config.Recorder.MinFreeMB)
	if free < least {
		return outcome{lines: []Line{{Status: Warn, Key: "recorder.min_free_mb", Detail: fmt.Sprintf(
			"%d MB are free on the disk of %s and %d MB must stay free, so the oldest recordings are removed and little is kept: delete files, set paths.recordings to a larger disk, or set it lower", free, existing, least)}}}
	}
	return success("%s can be written; %d MB are free, recordings take up to %d MB%s", folder, free, k.config.Recorder.TotalMB, asRoot(folder, missing))
}
