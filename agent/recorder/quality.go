package recorder

// Quality chooses JPEG's quality so that the whole pictures of a day fit their share of
// the disk: a noisy or detailed picture gets a lower one.
type Quality struct{ now int }

const (
	// viewBytes is how much a whole picture may take on average: 0.7 GB a day at one a
	// second.
	viewBytes   = 8_000
	bestQuality = 80
	// leastQuality still shows a spot; below it blocks hide one.
	leastQuality = 25
)

// NewQuality returns a first choice.
func NewQuality() *Quality { return &Quality{60} }

// Now is the quality for the next picture, 1–100.
func (q *Quality) Now() int { return q.now }

// Note tells the size of a picture of that quality, in bytes.
func (q *Quality) Note(size int) {
	switch {
	case size > viewBytes:
		q.now = max(q.now-3, leastQuality)
	case size < viewBytes*8/10:
		q.now = min(q.now+1, bestQuality)
	}
}
