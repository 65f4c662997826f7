package message

import (
	"bytes"
	"encoding/json"
	"slices"
)

// PackOverhead is an upper bound of the bytes around a pack's samples.
const PackOverhead = 64

// Current is the message of topic current and history/current.
type Current struct {
	Version    int               `json:"v"`
	Samples    []json.RawMessage `json:"samples"` // Sample, oldest first
	Historical bool              `json:"historical,omitempty"`
}

// Pack encodes samples, each valid JSON, as one message.
func Pack(samples [][]byte, historical bool) []byte {
	var b bytes.Buffer
	size := PackOverhead
	for _, sample := range samples {
		size += len(sample) + 1
	}
	b.Grow(size)
	b.WriteString(`{"v":1,`)
	if historical {
		b.WriteString(`"historical":true,`)
	}
	b.WriteString(`"samples":[`)
	for i, sample := range samples {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(sample)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// Historical marks a record, a JSON object, as history: it adds "historical": true.
func Historical(record []byte) []byte {
	return append(bytes.TrimSuffix(slices.Clone(record), []byte("}")), `,"historical":true}`...)
}
