package recorder

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// columns are the columns of current/*.csv: time is RFC 3339, uncertainty in
// milliseconds, and missing is why there are no amperes.
var columns = []string{"time", "a", "b", "c", "set_point", "feeding", "exhaust", "manual", "uncertainty_ms", "missing"}

const sampleTime = "2006-01-02T15:04:05.000000Z07:00"

func appendSample(to *bytes.Buffer, s drivers.Sample) {
	w := csv.NewWriter(to)
	if to.Len() == 0 {
		_ = w.Write(columns) // to a buffer in memory
	}
	phase := func(i int) string {
		if s.Missing != "" {
			return ""
		}
		return number(s.Current[i])
	}
	_ = w.Write([]string{
		s.Time.UTC().Format(sampleTime), phase(0), phase(1), phase(2), number(s.SetPoint),
		bit(s.Bits, drivers.Feeding), bit(s.Bits, drivers.Exhaust), bit(s.Bits, drivers.Manual),
		number(float64(s.Uncertainty.Microseconds()) / 1000), s.Missing,
	})
	w.Flush()
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func bit(bits, one drivers.Bits) string {
	if bits&one != 0 {
		return "1"
	}
	return "0"
}

// parseSamples reads a current/*.csv. A damaged row is skipped and counted in the error.
func parseSamples(data []byte) ([]drivers.Sample, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = len(columns)
	r.ReuseRecord = true
	if _, err := r.Read(); err != nil {
		return nil, fmt.Errorf("recorded current: %w", err)
	}
	var samples []drivers.Sample
	damaged := 0
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var s drivers.Sample
		if err == nil {
			s, err = parseSample(row)
		}
		if err != nil {
			damaged++
			continue
		}
		samples = append(samples, s)
	}
	if damaged > 0 {
		return samples, fmt.Errorf("%d damaged rows", damaged)
	}
	return samples, nil
}

func parseSample(row []string) (s drivers.Sample, err error) {
	var errs []error
	value := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			err = fmt.Errorf("%q is not finite", text)
		}
		errs = append(errs, err)
		return v
	}
	s.Time, err = time.Parse(sampleTime, row[0])
	errs = append(errs, err)
	if s.Missing = row[9]; s.Missing == "" {
		for phase := range drivers.Phases {
			s.Current[phase] = value(row[1+phase])
		}
	}
	s.SetPoint = value(row[4])
	for i, one := range []drivers.Bits{drivers.Feeding, drivers.Exhaust, drivers.Manual} {
		if row[5+i] == "1" {
			s.Bits |= one
		}
	}
	s.Uncertainty = time.Duration(value(row[8]) * float64(time.Millisecond))
	return s, errors.Join(errs...)
}

// Decided is a line of state/*.jsonl.
type Decided struct {
	// At is when the second was decided.
	At time.Time `json:"decided_at"`
	// Frame is the number of the newest frame, and Stream that of its opening.
	Frame  uint64 `json:"frame,omitempty"`
	Stream uint64 `json:"stream,omitempty"`
	// FrameTime is the instant of the newest frame, whose picture is in crop/.
	FrameTime *time.Time `json:"frame_time,omitempty"`
	message.State
}

func appendLine(to *bytes.Buffer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	to.Write(text)
	to.WriteByte('\n')
	return nil
}

// parseLines reads JSON lines. A damaged line is skipped and counted in the error.
func parseLines[T any](data []byte) (values []T, err error) {
	damaged := 0
	for line := range bytes.Lines(data) {
		var v T
		if json.Unmarshal(line, &v) != nil {
			damaged++
			continue
		}
		values = append(values, v)
	}
	if damaged > 0 {
		return values, fmt.Errorf("%d damaged lines", damaged)
	}
	return values, nil
}
