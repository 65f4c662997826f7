package recorder

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Stretch is a part of a recording without a gap.
type Stretch struct {
	Name     string
	From, To time.Time
	// Frames, Samples and Labelled count the pictures, the readings, and the seconds with
	// a label that is not doubtful.
	Frames, Samples, Labelled int
}

const (
	// maxGap is the longest pause within a stretch, maxStretch its longest duration: the
	// trainer holds stretches in memory.
	maxGap     = 10 * time.Second
	maxStretch = time.Hour
	// minStretch is the shortest that a window fits into.
	minStretch = 2 * time.Minute
	// testEvery is how many stretches there are for each that is kept for the test.
	testEvery = 5
)

// Export writes the recording of [from, to] as a data set that the trainer reads (layout
// V2 in docs/own-data.md), a batch for each stretch without a gap. The folder must not
// exist. Seconds without a label are not scored; with normal they count as normal.
func Export(l *Library, labels []Label, from, to time.Time, out string, normal bool) ([]Stretch, error) {
	if err := os.Mkdir(out, 0o750); err != nil {
		return nil, fmt.Errorf("the folder must be new: %w", err)
	}
	for _, sub := range []string{"videos", "timestamps", "currents", "labels"} {
		if err := os.Mkdir(filepath.Join(out, sub), 0o750); err != nil {
			return nil, err
		}
	}
	entries, err := l.Entries(from, to, Crop)
	if err != nil {
		return nil, err
	}
	var done []Stretch
	for _, group := range stretches(entries) {
		s, err := exportStretch(l, group, labels, out, normal)
		if err != nil {
			return done, err
		}
		done = append(done, s)
	}
	if len(done) == 0 {
		return nil, errors.New("no stretch of two minutes with pictures between from and to")
	}
	return done, writeSplits(out, done)
}

// stretches cuts the pictures where there is a gap, the size changes, or an hour is full.
func stretches(entries []Entry) (groups [][]Entry) {
	first := 0
	for i := range entries {
		last := i == len(entries)-1
		if last || entries[i+1].Time.Sub(entries[i].Time) > maxGap || entries[i+1].Time.Sub(entries[first].Time) >= maxStretch {
			if entries[i].Time.Sub(entries[first].Time) >= minStretch {
				groups = append(groups, entries[first:i+1])
			}
			first = i + 1
		}
	}
	return groups
}

func exportStretch(l *Library, frames []Entry, labels []Label, out string, normal bool) (Stretch, error) {
	s := Stretch{Name: frames[0].Time.UTC().Format(segmentTime), From: frames[0].Time, To: frames[len(frames)-1].Time, Frames: len(frames)}
	samples, err := l.Samples(s.From, s.To)
	if err != nil {
		return s, err
	}
	if err := writeVideo(l, frames, filepath.Join(out, "videos", s.Name+".npy")); err != nil {
		return s, err
	}
	since := func(t time.Time) string { return strconv.FormatFloat(t.Sub(s.From).Seconds(), 'f', 3, 64) }
	var times, currents bytes.Buffer
	times.WriteString("time\n")
	for _, f := range frames {
		times.WriteString(since(f.Time) + "\n")
	}
	currents.WriteString("time,a,b,c,set_point\n")
	for _, one := range samples {
		if one.Missing != "" {
			continue
		}
		s.Samples++
		fmt.Fprintf(&currents, "%s,%s,%s,%s,%s\n", since(one.Time), number(one.Current[0]), number(one.Current[1]), number(one.Current[2]), number(one.SetPoint))
	}
	text, labelled := labelTable(s, labels, normal)
	s.Labelled = labelled
	return s, errors.Join(
		os.WriteFile(filepath.Join(out, "timestamps", s.Name+".csv"), times.Bytes(), 0o640),
		os.WriteFile(filepath.Join(out, "currents", s.Name+".csv"), currents.Bytes(), 0o640),
		os.WriteFile(filepath.Join(out, "labels", s.Name+".csv"), text, 0o640))
}

// labelTable is a row a second: 1 abnormal, 0 normal, −1 not scored, and the second of
// the onset within an abnormal stretch.
func labelTable(s Stretch, labels []Label, normal bool) (text []byte, labelled int) {
	var out bytes.Buffer
	out.WriteString("time,label,onset\n")
	for n := range int(s.To.Sub(s.From).Seconds()) + 1 {
		at := s.From.Add(time.Duration(n) * time.Second)
		value, onset := -1, ""
		if normal {
			value = 0
		}
		for _, l := range labels { // of several, the one that was said last
			if at.Before(l.From) || !at.Before(l.To) {
				continue
			}
			value, onset = -1, ""
			switch l.Class {
			case ClassAbnormal:
				begin := l.Onset
				if begin.IsZero() {
					begin = l.From
				}
				if at.Before(begin) {
					continue // before the onset nothing is abnormal, and nothing is said
				}
				value, onset = 1, strconv.FormatFloat(max(begin.Sub(s.From).Seconds(), 0), 'f', 0, 64)
			case ClassNormal:
				value = 0
			case ClassDoubtful:
			}
		}
		if value >= 0 {
			labelled++
		}
		fmt.Fprintf(&out, "%d,%d,%s\n", n, value, onset)
	}
	return out.Bytes(), labelled
}

// writeVideo writes pictures as a NumPy array, uint8 (T,3,W,H).
func writeVideo(l *Library, frames []Entry, path string) (err error) {
	pixels, width, height, err := readCrop(l, frames[0])
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriterSize(file, 1<<20)
	header := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 3, %d, %d), }", len(frames), width, height)
	const align, magic = 64, 10
	for (len(header)+1+magic)%align != 0 {
		header += " "
	}
	header += "\n"
	if _, err := fmt.Fprintf(out, "\x93NUMPY\x01\x00%c%c%s", 0, 0, header); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if _, err := file.WriteAt([]byte{byte(len(header)), byte(len(header) >> 8)}, 8); err != nil {
		return err
	}
	planes := make([]byte, 3*width*height)
	for i, f := range frames {
		if i > 0 {
			var w, h int
			if pixels, w, h, err = readCrop(l, f); err != nil {
				return err
			}
			if w != width || h != height {
				return fmt.Errorf("the crop's size changes at %s: export the parts before and after it by themselves", f.Time.Format(time.RFC3339))
			}
		}
		for y := range height {
			for x := range width {
				for c := range 3 {
					planes[(c*width+x)*height+y] = pixels[3*(y*width+x)+c]
				}
			}
		}
		if _, err := out.Write(planes); err != nil {
			return err
		}
	}
	return out.Flush()
}

// readCrop returns a picture's pixels, row-major RGB.
func readCrop(l *Library, e Entry) (pixels []byte, width, height int, err error) {
	data, err := l.Read(e)
	if err != nil {
		return nil, 0, 0, err
	}
	return DecodeCrop(data)
}

// DecodeCrop decodes a recorded crop to row-major RGB.
func DecodeCrop(data []byte) (pixels []byte, width, height int, err error) {
	config, err := png.DecodeConfig(bytes.NewReader(data))
	const most = 4096
	if err == nil && (config.Width > most || config.Height > most) {
		err = fmt.Errorf("%d×%d pixels is too large", config.Width, config.Height)
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("recorded crop: %w", err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, 0, fmt.Errorf("recorded crop: %w", err)
	}
	bounds := picture.Bounds()
	width, height = bounds.Dx(), bounds.Dy()
	pixels = make([]byte, 0, 3*width*height)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, _ := picture.At(x, y).RGBA()
			pixels = append(pixels, byte(r>>8), byte(g>>8), byte(b>>8))
		}
	}
	return pixels, width, height, nil
}

// writeSplits deals the stretches: every fifth is kept for the test.
func writeSplits(out string, all []Stretch) error {
	var train, test []string
	for i, s := range all {
		if i%testEvery == testEvery-1 {
			test = append(test, s.Name)
		} else {
			train = append(train, s.Name)
		}
	}
	for name, names := range map[string][]string{"train.json": train, "test.json": test} {
		if names == nil {
			names = []string{}
		}
		slices.Sort(names)
		text, err := json.Marshal(names)
		if err == nil {
			err = os.WriteFile(filepath.Join(out, name), append(text, '\n'), 0o640)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
