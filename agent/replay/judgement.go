package replay

import "meltwatch/agent/recorder"

// Judgement compares what was decided when recorded, and what is decided now, with what
// persons say.
type Judgement struct {
	Labels []recorder.Label
	// Seconds have a label that is not doubtful; in Then of them the recorded state is
	// right, in Now of them the replayed one.
	Seconds, Then, Now int

	foundThen, foundNow map[string]bool // by abnormal label
}

// Add judges a second.
func (j *Judgement) Add(s Second) {
	if !s.Settled {
		return
	}
	at := s.Recorded.At
	for _, l := range j.Labels {
		if at.Before(l.From) || !at.Before(l.To) || l.Class == recorder.ClassDoubtful || l.Class == recorder.ClassAbnormal && at.Before(l.Onset) {
			continue
		}
		abnormal := l.Class == recorder.ClassAbnormal
		then, now := s.Recorded.State.State == "abnormal", s.Again.Status.State == "abnormal"
		j.Seconds++
		if then == abnormal {
			j.Then++
		}
		if now == abnormal {
			j.Now++
		}
		if abnormal {
			if j.foundThen == nil {
				j.foundThen, j.foundNow = map[string]bool{}, map[string]bool{}
			}
			j.foundThen[l.ID] = j.foundThen[l.ID] || then
			j.foundNow[l.ID] = j.foundNow[l.ID] || now
		}
	}
}

// Stretches is the number of abnormal stretches that were judged; FoundThen and FoundNow
// are those with at least one abnormal second.
func (j *Judgement) Stretches() int { return len(j.foundThen) }

// FoundThen counts the stretches that were found when recorded.
func (j *Judgement) FoundThen() int { return count(j.foundThen) }

// FoundNow counts the stretches that are found now.
func (j *Judgement) FoundNow() int { return count(j.foundNow) }

func count(found map[string]bool) (n int) {
	for _, one := range found {
		if one {
			n++
		}
	}
	return n
}
