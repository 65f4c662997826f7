package message

import (
	"time"
)

// ConfigReport is the payload of config/reported.
type ConfigReport struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Revision is that of the last document that was processed. From is its source:
	// "desired", "file" for an edit of the local file, or "page" for a change that a person
	// made on the box's page.
	Revision int64  `json:"revision"`
	From     string `json:"from"`
	// By is who made the change on the page.
	By string `json:"by,omitempty"`
	// Status is applying, applied, rejected or rolled_back.
	Status string  `json:"status"`
	Errors []Fault `json:"errors"`
	// SHA256 identifies the effective configuration, RunningRevision its patch; 0 is
	// the local file alone.
	SHA256          string `json:"sha256"`
	RunningRevision int64  `json:"running_revision"`
}
