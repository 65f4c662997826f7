package state

// filter averages p over the last decided seconds.
type filter struct {
	recent []float64 // p of consecutive seconds, oldest first
	// under counts the seconds in a row with the mean below the exit threshold.
	under int
}

// add adds one second's p. It returns the mean of the last ones, and whether it is over
// as many seconds as asked.
func (f *filter) add(p float64, seconds int) (mean float64, full bool) {
	f.recent = append(f.recent, p)
	if extra := len(f.recent) - seconds; extra > 0 {
		f.recent = f.recent[extra:]
	}
	var sum float64
	for _, v := range f.recent {
		sum += v
	}
	return sum / float64(len(f.recent)), len(f.recent) >= seconds
}

// left counts a second's mean. It reports whether it has been under exit for as many
// seconds as asked.
func (f *filter) left(mean, exit float64, seconds int) bool {
	if mean >= exit {
		f.under = 0
		return false
	}
	f.under++
	return f.under >= seconds
}

// forget empties the mean, which is over consecutive seconds only.
func (f *filter) forget() {
	f.recent = f.recent[:0]
	f.under = 0
}
