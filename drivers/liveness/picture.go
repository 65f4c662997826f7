package liveness

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Picture is a small grey copy of a camera picture. It skips pixels instead of
// averaging them, because averaging would remove the sensor noise that marks a live
// picture. Row-major, one byte a pixel.
type Picture struct {
	Width, Height int
	Pixels        []byte
}

// Size of the Picture that a Detector expects. Other sizes work; the thresholds were
// chosen at this one.
const (
	PictureWidth  = 320
	PictureHeight = 180
)

const (
	// noticeable is the smallest change of one pixel, in levels of 256, that exceeds
	// rounding in the decoder.
	noticeable = 2
	// changedShare of the pixels must differ noticeably for two pictures to differ.
	// Measured over x264's settings of constant quality, within two seconds that hold a
	// key frame: a repeated picture differs from itself in at most 2.8 % of the pixels,
	// a still scene with sensor noise of half a level in at least 4.7 %. A clock that
	// the camera writes into a frozen picture changes less than 1 %.
	changedShare = 0.035
	// cell is the side of the squares whose means are compared.
	cell = 10
	// cellShift is how far, in levels, a cell's mean must change, and shiftedShare the
	// share of such cells that counts as motion. Coding noise changes no mean by more
	// than 2; a clock in the picture changes only a few cells.
	cellShift    = 3
	shiftedShare = 0.01
)

// changed reports whether b differs from a, even by noise alone.
func changed(a, b Picture) bool {
	if len(a.Pixels) != len(b.Pixels) {
		return true
	}
	const step = 4096 // pixels, a part of a picture that tells noise
	n := max(len(b.Pixels), 1)
	for count, i := 0, 0; i < len(b.Pixels); i += step {
		end := min(i+step, len(b.Pixels))
		if count += differing(a.Pixels[i:end], b.Pixels[i:end]); float64(count)/float64(n) > changedShare {
			return true
		}
	}
	return false
}

// changedBy is the share of pixels that differ noticeably between two pictures of the
// same size.
func changedBy(a, b Picture) float64 {
	return float64(differing(a.Pixels, b.Pixels)) / float64(max(len(b.Pixels), 1))
}

// differing counts the pixels that differ noticeably between two rows of one length. It
// compares eight at a time, without a branch: noise would make every branch a wrong guess.
func differing(a, b []byte) (count int) {
	for len(a) >= 8 && len(b) >= 8 {
		x, y := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
		count += 8 - alike(x, y) - alike(x>>8, y>>8)
		a, b = a[8:], b[8:]
	}
	for i, pixel := range b {
		if distance(a[i], pixel) >= noticeable {
			count++
		}
	}
	return count
}

// alike counts, of the even bytes of two words, those that differ by less than noticeable.
// Each byte has a lane of 16 bits, whose highest one tells whether a sum has reached 1<<15.
func alike(x, y uint64) int {
	const (
		lanes = 0x0001_0001_0001_0001
		bytes = 0x00ff * lanes
		high  = 0x8000 * lanes
		zero  = 0x0100 // a lane's difference of 0
	)
	difference := (x&bytes | zero*lanes) - y&bytes
	above := difference + high - (zero-noticeable+1)*lanes // difference > −noticeable
	below := difference + high - (zero+noticeable)*lanes   // difference < noticeable, where the bit is off
	return bits.OnesCount64(above &^ below & high)
}

// cellMeans reduces a picture to the means of its cells, which keep the scene and lose
// the noise.
func (p Picture) cellMeans() []byte {
	columns, rows := p.Width/cell, p.Height/cell
	means := make([]byte, 0, columns*rows)
	for row := range rows {
		for column := range columns {
			sum := 0
			for y := row * cell; y < (row+1)*cell; y++ {
				for _, pixel := range (*[cell]byte)(p.Pixels[y*p.Width+column*cell:]) {
					sum += int(pixel)
				}
			}
			means = append(means, byte(sum/(cell*cell)))
		}
	}
	return means
}

// shifted reports whether something moved between two sets of cell means.
func shifted(a, b []byte) bool {
	if len(a) != len(b) {
		return true
	}
	count := 0
	for i := range b {
		if distance(a[i], b[i]) > cellShift {
			count++
		}
	}
	return float64(count) > shiftedShare*float64(len(b))
}

const (
	// blackMean and blackVariance bound a black picture: darker on average than any lit
	// shell, and without a bright spot.
	blackMean     = 16
	blackVariance = 8 * 8
)

func (p Picture) black() bool {
	if len(p.Pixels) == 0 {
		return false
	}
	sum, squares := 0, 0
	n := float64(len(p.Pixels))
	for row := range slices.Chunk(p.Pixels, PictureWidth) {
		for _, pixel := range row {
			sum += int(pixel)
			squares += int(pixel) * int(pixel)
		}
		if float64(sum)/n >= blackMean {
			return false // further pixels only add to it
		}
	}
	mean := float64(sum) / n
	return mean < blackMean && float64(squares)/n-mean*mean < blackVariance
}

func distance(a, b byte) int {
	if a > b {
		return int(a) - int(b)
	}
	return int(b) - int(a)
}
