package rtsptest

import (
	"fmt"
	"strings"
)

// SPS is the H.264 parameter set of a picture; width and height are multiples of 16.
func SPS(width, height int) []byte {
	var bits strings.Builder
	ue := func(v int) {
		text := fmt.Sprintf("%b", v+1)
		bits.WriteString(strings.Repeat("0", len(text)-1) + text)
	}
	for _, v := range []int{0, 0, 2, 1} { // id, frame numbers, order, references
		ue(v)
	}
	bits.WriteString("0") // no gaps
	ue(width/16 - 1)
	ue(height/16 - 1)
	bits.WriteString("11001") // frames alone, direct inference, no crop, no VUI, the end
	text := bits.String() + strings.Repeat("0", (8-bits.Len()%8)%8)
	nal := []byte{0x67, 66, 0, 40}
	for i := 0; i < len(text); i += 8 {
		var b byte
		for _, bit := range text[i : i+8] {
			b = b<<1 | byte(bit-'0')
		}
		nal = append(nal, b)
	}
	return nal
}
