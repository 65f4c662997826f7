// Package code writes a picture's number into the picture, so that a viewer that sees only
// pixels can tell which one it holds.
package code

// The strip of squares in the picture's upper left corner, one a bit, the least first, white
// for one. It is as wide and as high as told in a picture that is Whole wide; in a larger
// one it is larger.
const (
	Bits   = 8
	Side   = 64
	Width  = Bits * Side
	Height = Side
	Whole  = 1280
)

// Dark and Bright are the luma of the squares.
const (
	Dark, Bright = 16, 235
	threshold    = 128
)

// Write writes a number into a plane of luma.
func Write(luma []byte, stride, number int) {
	for bit := range Bits {
		value := byte(Dark)
		if number>>bit&1 == 1 {
			value = Bright
		}
		for y := range Side {
			row := luma[y*stride+bit*Side:][:Side]
			for x := range row {
				row[x] = value
			}
		}
	}
}

// Read returns the number in a picture in which the strip is width by height; at returns the
// brightness of a pixel.
func Read(width, height int, at func(x, y int) byte) (number int) {
	for bit := range Bits {
		if at((2*bit+1)*width/(2*Bits), height/2) >= threshold {
			number |= 1 << bit
		}
	}
	return number
}
