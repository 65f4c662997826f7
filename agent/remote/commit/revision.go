package commit

import "fmt"

const (
	// MostRevision is the highest revision: what every JSON reader can hold exactly.
	MostRevision = 1<<53 - 1
	// MostStep is how far a document may be ahead of the revision that runs. Seconds
	// since 1970 may serve as a revision, but no single document can exhaust the
	// numbers.
	MostStep = 1 << 32
)

// Base is the revision that the next one must exceed. One beyond MostRevision, which
// 0.3.0 accepted, counts as 0: otherwise nothing could follow it.
func Base(running int64) int64 {
	if running > MostRevision {
		return 0
	}
	return running
}

// CheckRevision refuses a revision that is invalid, or too far ahead of the one that
// runs.
func CheckRevision(revision, running int64) error {
	switch most := min(Base(running)+MostStep, MostRevision); {
	case revision < 1:
		return fmt.Errorf("%d is invalid: revisions start at 1", revision)
	case revision > most:
		return fmt.Errorf("%d is too far ahead of %d, which runs: publish it with at most %d", revision, running, most)
	}
	return nil
}
