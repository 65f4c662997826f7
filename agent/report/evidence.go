package report

import (
	"math"

	"meltwatch/agent/message"
	"meltwatch/inference"
)

// evidence returns the centre and the standard deviation of the attention as shares of
// the crop, or nil without attention.
func evidence(weights []float32, video inference.VideoSpec) *message.Evidence {
	rows, columns := video.EvidenceRows, video.EvidenceColumns
	if rows*columns == 0 || len(weights) != rows*columns {
		return nil
	}
	var sum, x, y, xx, yy float64
	for i, w := range weights {
		cx := (float64(i%columns) + 0.5) / float64(columns)
		cy := (float64(i/columns) + 0.5) / float64(rows)
		weight := float64(w)
		sum, x, y = sum+weight, x+weight*cx, y+weight*cy
		xx, yy = xx+weight*cx*cx, yy+weight*cy*cy
	}
	if !(sum > 0) {
		return nil
	}
	x, y = x/sum, y/sum
	variance := max(xx/sum-x*x, 0) + max(yy/sum-y*y, 0)
	return &message.Evidence{X: x, Y: y, Spread: math.Sqrt(variance)}
}
