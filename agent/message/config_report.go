package message

import (
	"time"
)

// ConfigReport is the payload of config/reported.
type ConfigReport struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Revision of the last document that was looked at, and where it came from:
	// "desired", or "file" for an edit of the box's own file.
	Revision int64  `json:"revision"`
	From     string `json:"from"`
	// Status is applying, applied, rejected or rolled_back.
	Status string  `json:"status"`
	Errors []Fault `json:"errors"`
	// SHA256 names the effective configuration that runs now, RunningRevision the
	// patch in it; 0 is the local file alone.
	SHA256          string `json:"sha256"`
	RunningRevision int64  `json:"running_revision"`
}
