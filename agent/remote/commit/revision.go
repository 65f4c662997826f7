package commit

import "fmt"

const (
	// MostRevision is the highest revision: what every JSON reader can hold exactly.
	MostRevision = 1<<53 - 1
	// MostStep is how far a document may lie ahead of what runs. The seconds since
	// 1970 may serve as a revision; no single document, whoever signed it, uses the
	// numbers up.
	MostStep = 1 << 32
)

// Base is the revision that the next one is counted from. One beyond MostRevision,
// which 0.3.0 took, counts as none: else nothing could follow it.
func Base(running int64) int64 {
	if running > MostRevision {
		return 0
	}
	return running
}

// CheckRevision refuses a revision that is none, or too far ahead of what runs.
func CheckRevision(revision, running int64) error {
	switch most := min(Base(running)+MostStep, MostRevision); {
	case revision < 1:
		return fmt.Errorf("%d is not a revision: count from 1", revision)
	case revision > most:
		return fmt.Errorf("%d is too far ahead of %d, which runs: publish it under one of at most %d", revision, running, most)
	}
	return nil
}
