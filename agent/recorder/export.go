package recorder

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
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
	// a label that is not doubtful; Abnormal of these are abnormal.
	Frames, Samples, Labelled, Abnormal int
	// Split is what the batch is for: train, val or test.
	Split string
}

const (
	// maxGap is the longest pause within a stretch, maxStretch its longest duration: the
	// trainer holds stretches in memory.
	maxGap     = 10 * time.Second
	maxStretch = time.Hour
	// minStretch is the shortest that a window of current and one of pictures fit into.
	minStretch = 140 * time.Second
)

// Export writes the recording of [from, to] as a data set that the trainer reads (layout
// V2 in docs/own-data.md), a batch for each stretch without a gap. The folder must not
// exist, and does not after an error. Seconds without a label are not scored; with normal
// they count as normal. Left out are stretches without a scored second, unless there are no
// others, pictures that cannot be read, frozen and black ones, and those of a furnace that
// is off.
func Export(l *Library, labels []Label, from, to time.Time, out string, normal bool) ([]Stretch, error) {
	return ExportContext(context.Background(), l, labels, from, to, out, normal)
}

// ExportContext is Export until ctx ends.
func ExportContext(ctx context.Context, l *Library, labels []Label, from, to time.Time, out string, normal bool) (done []Stretch, err error) {
	if err := os.MkdirAll(filepath.Dir(out), 0o750); err != nil {
		return nil, err
	}
	if err := os.Mkdir(out, 0o750); err != nil {
		return nil, fmt.Errorf("the folder must be new: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(out))
		}
	}()
	for _, sub := range []string{"videos", "timestamps", "currents", "labels"} {
		if err := os.Mkdir(filepath.Join(out, sub), 0o750); err != nil {
			return nil, err
		}
	}
	pieces, err := piecesOf(ctx, l, labels, from, to, normal)
	if err != nil {
		return nil, err
	}
	for _, p := range pieces {
		s, err := exportStretch(ctx, l, p, labels, out, normal)
		if err != nil {
			return nil, err
		}
		done = append(done, s)
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("no stretch of %.0f s with pictures of a working furnace between from and to", minStretch.Seconds())
	}
	return done, writeSplits(out, done)
}

// cropSize reads a picture's size.
func (l *Library) cropSize(e Entry) (image.Point, error) {
	file, _, err := l.open(e.Segment)
	if err != nil {
		return image.Point{}, err
	}
	defer file.Close()
	config, err := png.DecodeConfig(io.NewSectionReader(file, e.Offset, e.Size))
	return image.Pt(config.Width, config.Height), err
}

func exportStretch(ctx context.Context, l *Library, p piece, labels []Label, out string, normal bool) (Stretch, error) {
	frames := p.frames
	s := Stretch{Name: frames[0].Time.UTC().Format(segmentTime), Split: p.split}
	frames, err := writeVideo(ctx, l, frames, filepath.Join(out, "videos", s.Name+".npy"))
	if err != nil {
		return s, err
	}
	s.From, s.To, s.Frames = frames[0].Time, frames[len(frames)-1].Time, len(frames)
	samples, err := l.Samples(s.From, s.To)
	if err != nil {
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
	text := labelTable(&s, labels, normal)
	return s, errors.Join(
		os.WriteFile(filepath.Join(out, "timestamps", s.Name+".csv"), times.Bytes(), 0o640),
		os.WriteFile(filepath.Join(out, "currents", s.Name+".csv"), currents.Bytes(), 0o640),
		os.WriteFile(filepath.Join(out, "labels", s.Name+".csv"), text, 0o640))
}

// labelTable is a row a second: 1 abnormal, 0 normal, −1 not scored, and the second of
// the onset within an abnormal stretch. It counts them in s.
func labelTable(s *Stretch, labels []Label, normal bool) []byte {
	var out bytes.Buffer
	out.WriteString("time,label,onset\n")
	truth := NewTruth(labels, s.From, s.To)
	for n := range int(s.To.Sub(s.From).Seconds()) + 1 {
		value, began := truth.value(s.From.Add(time.Duration(n)*time.Second), normal)
		onset := ""
		switch value {
		case abnormalSecond:
			s.Abnormal++
			s.Labelled++
			onset = strconv.FormatFloat(max(began.Sub(s.From).Seconds(), 0), 'f', 0, 64)
		case normalSecond:
			s.Labelled++
		}
		fmt.Fprintf(&out, "%d,%d,%s\n", n, value, onset)
	}
	return out.Bytes()
}

// writeVideo writes pictures of one size as a NumPy array, uint8 (T,3,W,H). It returns
// those that could be read.
func writeVideo(ctx context.Context, l *Library, frames []Entry, path string) (written []Entry, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriterSize(file, 1<<20)
	if _, err := out.Write(make([]byte, numpyHeader)); err != nil {
		return nil, err
	}
	var planes []byte
	var shape [2]int
	for _, f := range frames {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pixels, width, height, err := readCrop(l, f)
		if err != nil || len(written) > 0 && shape != [2]int{width, height} {
			continue // damaged, or removed meanwhile
		}
		if len(written) == 0 {
			shape, planes = [2]int{width, height}, make([]byte, 3*width*height)
		}
		for y := range height {
			for x := range width {
				for c := range 3 {
					planes[(c*width+x)*height+y] = pixels[3*(y*width+x)+c]
				}
			}
		}
		if _, err := out.Write(planes); err != nil {
			return nil, err
		}
		written = append(written, f)
	}
	if len(written) == 0 {
		return nil, fmt.Errorf("not one picture from %s on can be read: export the parts before and after them by themselves", frames[0].Time.Format(time.RFC3339))
	}
	if err := out.Flush(); err != nil {
		return nil, err
	}
	_, err = file.WriteAt(header(len(written), shape[0], shape[1]), 0)
	return written, err
}

// numpyHeader is the length of the header in bytes, a multiple of 64.
const numpyHeader = 128

func header(count, width, height int) []byte {
	const prefix = 10
	text := fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 3, %d, %d), }", count, width, height)
	return fmt.Appendf([]byte("\x93NUMPY\x01\x00"), "%c\x00%-*s\n", numpyHeader-prefix, numpyHeader-prefix-1, text)
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
	const most = 4 << 20 // pixels
	if err == nil && config.Width*config.Height > most {
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

// writeSplits writes which batches are for what. Without batches for validation the trainer
// takes some of the training's.
func writeSplits(out string, all []Stretch) error {
	splits := map[string][]string{splitTrain: {}, splitTest: {}}
	for _, s := range all {
		splits[s.Split] = append(splits[s.Split], s.Name)
	}
	for name, names := range splits {
		slices.Sort(names)
		text, err := json.Marshal(names)
		if err == nil {
			err = os.WriteFile(filepath.Join(out, name+".json"), append(text, '\n'), 0o640)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
