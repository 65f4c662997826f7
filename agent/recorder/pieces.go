package recorder

import (
	"context"
	"errors"
	"image"
	"io/fs"
	"slices"
	"time"
)

// piece is a part of a recording that becomes a batch: pictures of one size without a gap.
type piece struct {
	frames           []Entry
	abnormal, normal int // seconds
	// between are the instants in the middle between two of its abnormal episodes, and ends
	// those before the first and after the last.
	between, ends []time.Time
	split         string
}

// The splits of a data set.
const (
	splitTrain = "train"
	splitVal   = "val"
	splitTest  = "test"
)

// dealt is how many pieces of a kind give each split some: of five, one validates and one
// tests.
const dealt = 5

// piecesOf plans an export.
func piecesOf(ctx context.Context, l *Library, labels []Label, from, to time.Time, normal bool) ([]piece, error) {
	entries, err := usable(ctx, l, from, to)
	if err != nil {
		return nil, err
	}
	var all []piece
	groups, err := stretches(ctx, l, entries, labels)
	if err != nil {
		return nil, err
	}
	for _, frames := range groups {
		all = append(all, counted(frames, labels, normal))
	}
	if normal {
		for i := range all {
			all[i].split = []string{splitVal, splitTest}[i%2] // nothing is trained on normal hours
		}
		return all, nil
	}
	if slices.ContainsFunc(all, piece.scored) {
		all = slices.DeleteFunc(all, func(p piece) bool { return !p.scored() })
	}
	return deal(all, labels), nil
}

func (p piece) scored() bool { return p.abnormal+p.normal > 0 }

// usable returns the pictures that a model may learn from: not those of a furnace that is
// off, nor frozen and black ones, which the agent hides from the model too.
func usable(ctx context.Context, l *Library, from, to time.Time) ([]Entry, error) {
	entries, err := l.Entries(from, to, Crop)
	if err != nil {
		return nil, err
	}
	var kept []Entry
	for len(entries) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := 1
		for n < len(entries) && entries[n].Segment == entries[0].Segment {
			n++
		}
		hidden, err := hiddenFrames(l, entries[0].Time, entries[n-1].Time)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries[:n] {
			if !hidden[e.Time.UnixMilli()] {
				kept = append(kept, e)
			}
		}
		entries = entries[n:]
	}
	return kept, nil
}

// hiddenFrames returns the instants of frames that were decided while the furnace was off or
// the video was not to be believed.
func hiddenFrames(l *Library, from, to time.Time) (map[int64]bool, error) {
	states, err := l.States(from, to.Add(maxGap))
	if err != nil {
		return nil, err
	}
	hidden := map[int64]bool{}
	for _, s := range states {
		if s.FrameTime != nil && (s.State.State == "off" || s.Senses.Video == "frozen" || s.Senses.Video == "black") {
			hidden[s.FrameTime.UnixMilli()] = true
		}
	}
	return hidden, nil
}

// stretches cuts the pictures where there is a gap or the size changes, and evenly so that
// none is longer than an hour.
func stretches(ctx context.Context, l *Library, entries []Entry, labels []Label) (groups [][]Entry, err error) {
	var now []Entry
	end := func() {
		groups = append(groups, evenly(now, labels)...)
		now = nil
	}
	var size image.Point
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next, err := l.cropSize(e)
		if err != nil {
			continue // damaged, or removed meanwhile
		}
		if n := len(now); n > 0 && (e.Time.Sub(now[n-1].Time) > maxGap || next != size) {
			end()
		}
		now, size = append(now, e), next
	}
	end()
	return groups, nil
}

// evenly cuts a stretch into parts of an hour at most. One that is too short for a window has
// none.
func evenly(frames []Entry, labels []Label) (parts [][]Entry) {
	if len(frames) == 0 || spanOf(frames) < minStretch {
		return nil
	}
	begin, whole := frames[0].Time, spanOf(frames)
	count := 1
	if whole > maxStretch {
		const most = maxStretch - aside
		count = int((whole + most - 1) / most)
	}
	for k := 1; k < count; k++ {
		var part []Entry
		part, frames = cutAt(frames, calm(begin.Add(whole*time.Duration(k)/time.Duration(count)), labels))
		parts = append(parts, part)
	}
	return append(parts, frames)
}

// aside is how far a cut is moved at most to spare an abnormal stretch.
const aside = 10 * time.Minute

// calm moves an instant out of a stretch that is labelled abnormal, if that is not too far.
func calm(at time.Time, labels []Label) time.Time {
	moved := at
	for _, l := range slices.Backward(labels) { // by their begin, the last one first
		if l.Class == ClassAbnormal && moved.After(l.From.Add(-time.Second)) && moved.Before(l.To.Add(time.Second)) {
			moved = l.From.Add(-time.Second)
		}
	}
	if at.Sub(moved) > aside {
		return at
	}
	return moved
}

func spanOf(frames []Entry) time.Duration { return frames[len(frames)-1].Time.Sub(frames[0].Time) }

// cutAt cuts pictures before the first one that is not before an instant.
func cutAt(frames []Entry, at time.Time) (before, after []Entry) {
	n := slices.IndexFunc(frames, func(e Entry) bool { return !e.Time.Before(at) })
	if n < 0 {
		n = len(frames)
	}
	return frames[:n:n], frames[n:]
}

// counted counts the scored seconds of a piece.
func counted(frames []Entry, labels []Label, normal bool) piece {
	p := piece{frames: frames}
	from, to := frames[0].Time, frames[len(frames)-1].Time
	truth := NewTruth(labels, from, to)
	var last time.Time // abnormal second
	for at := from; !at.After(to); at = at.Add(time.Second) {
		switch value, _ := truth.value(at, normal); value {
		case abnormalSecond:
			if p.abnormal == 0 {
				p.ends = append(p.ends, at)
			} else if at.Sub(last) > time.Second {
				p.between = append(p.between, last.Add(at.Sub(last)/2))
			}
			p.abnormal++
			last = at
		case normalSecond:
			p.normal++
		}
	}
	if p.abnormal > 0 {
		p.ends = append(p.ends, last.Add(time.Second))
	}
	return p
}

// deal deals the pieces to the splits, so that each has seconds of both classes if that is
// possible. Few long pieces are cut before: never within an abnormal episode, of which
// neighbouring parts look alike.
func deal(all []piece, labels []Label) []piece {
	abnormal, others := parted(all)
	abnormal = cutUp(abnormal, labels, dealt, piece.betweenEpisodes)
	if least := 3; slices.ContainsFunc(abnormal, func(p piece) bool { return p.normal == 0 }) {
		if len(others) == 0 { // normal work lies beside the episodes
			parts := cutUp(abnormal, labels, len(abnormal)+1, piece.beforeAndAfter)
			abnormal, others = parted(parts)
		}
		others = cutUp(others, labels, least, piece.middle)
	}
	// A cut may leave a part without an abnormal second.
	abnormal, more := parted(abnormal)
	others = append(others, more...)
	for _, kind := range [][]piece{abnormal, others} {
		slices.SortFunc(kind, func(a, b piece) int { return a.frames[0].Time.Compare(b.frames[0].Time) })
		for i := range kind {
			kind[i].split = splitOf(i, len(kind))
		}
	}
	all = append(abnormal, others...)
	slices.SortFunc(all, func(a, b piece) int { return a.frames[0].Time.Compare(b.frames[0].Time) })
	return all
}

// parted divides pieces into those with an abnormal second, and the others.
func parted(all []piece) (abnormal, others []piece) {
	for _, p := range all {
		if p.abnormal > 0 {
			abnormal = append(abnormal, p)
		} else {
			others = append(others, p)
		}
	}
	return abnormal, others
}

// splitOf is the split of one of count pieces of a kind.
func splitOf(i, count int) string {
	of := []string{splitTrain, splitVal, splitTrain, splitTrain, splitTest}
	if count < dealt {
		of = []string{splitTrain, splitTest, splitVal, splitTrain}
	}
	return of[i%len(of)]
}

// cutUp cuts pieces until there are as many as wanted, or none can be cut. where returns the
// instants at which a piece may be cut.
func cutUp(pieces []piece, labels []Label, wanted int, where func(piece) []time.Time) []piece {
	pieces = slices.Clone(pieces)
	for len(pieces) > 0 && len(pieces) < wanted {
		best, at := -1, time.Time{}
		for i, p := range pieces {
			if best >= 0 && spanOf(p.frames) <= spanOf(pieces[best].frames) {
				continue
			}
			if cut, ok := p.mostEven(where(p)); ok {
				best, at = i, cut
			}
		}
		if best < 0 {
			break
		}
		before, after := cutAt(pieces[best].frames, at)
		pieces = slices.Replace(pieces, best, best+1, counted(before, labels, false), counted(after, labels, false))
	}
	return pieces
}

func (p piece) betweenEpisodes() []time.Time { return p.between }

func (p piece) beforeAndAfter() []time.Time { return p.ends }

func (p piece) middle() []time.Time {
	return []time.Time{p.frames[0].Time.Add(spanOf(p.frames) / 2)}
}

// mostEven returns the instant that cuts a piece most evenly, if both parts are long enough.
func (p piece) mostEven(instants []time.Time) (best time.Time, ok bool) {
	var shorter time.Duration // part
	for _, at := range instants {
		before, after := cutAt(p.frames, at)
		if len(before) == 0 || len(after) == 0 {
			continue
		}
		if least := min(spanOf(before), spanOf(after)); least >= minStretch && least > shorter {
			best, ok, shorter = at, true, least
		}
	}
	return best, ok
}
