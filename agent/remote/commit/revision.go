package commit

import "fmt"

const (
	// MostRevision is the highest revision that every JSON reader represents exactly.
	MostRevision = 1<<53 - 1
	// MostStep is the largest step from the running revision to the next one. It allows
	// seconds since 1970 as a revision, but no single document can use up the numbers.
	MostStep = 1 << 32
)

// Base is the revision that the next one must exceed. A revision beyond MostRevision,
// which release 0.3.0 accepted, counts as 0: otherwise no other could follow it.
func Base(running int64) int64 {
	if running > MostRevision {
		return 0
	}
	return running
}

// CheckRevision refuses a revision that is invalid, or too far ahead of the running
// one.
func CheckRevision(revision, running int64) error {
	switch most := min(Base(running)+MostStep, MostRevision); {
	case revision < 1:
		return fmt.Errorf("%d is invalid: revisions start at 1", revision)
	case revision > most:
		return fmt.Errorf("%d is too far ahead of the running revision %d: publish it with at most %d", revision, running, most)
	}
	return nil
}
