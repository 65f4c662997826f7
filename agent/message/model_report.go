package message

import (
	"time"
)

// ModelReport is the payload of model/reported.
type ModelReport struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Revision and SHA256 are those of the last document that was processed; SHA256 is
	// empty for the local model.
	Revision int64   `json:"revision"`
	SHA256   string  `json:"sha256"`
	Status   string  `json:"status"`
	Errors   []Fault `json:"errors"`
	// Next is the number of the next missing chunk, of Chunks, while receiving.
	Next   int64 `json:"next_chunk"`
	Chunks int64 `json:"chunks"`
	// Running is the package of the live model.
	Running         string `json:"running_sha256"`
	RunningRevision int64  `json:"running_revision"`
	// Shadow compares the two models, from the start of shadowing on.
	Shadow *ModelScores `json:"shadow,omitempty"`
}

// ModelScores compare two models over the seconds that both decided.
type ModelScores struct {
	Seconds int `json:"seconds"`
	// Agreement is the share of seconds in which both values of p(abnormal) are on the
	// same side of 0.5.
	Agreement float64 `json:"agreement"`
	// OldP and NewP are the means of p(abnormal).
	OldP float64 `json:"old_p_mean"`
	NewP float64 `json:"new_p_mean"`
	// Faults is the number of seconds that the old model decided and the new one did
	// not.
	Faults int `json:"faults"`
	// LatencyMS is the 95th percentile of the new model's time per second, MemoryMB the
	// resident memory of its process (1 MB is 10⁶ bytes).
	LatencyMS float64 `json:"latency_p95_ms"`
	MemoryMB  float64 `json:"memory_mb"`
}
