package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"meltwatch/child"
	"meltwatch/drivers"
)

// maxPNG bounds the child's picture in bytes: the largest permitted one, uncompressed.
const maxPNG = 4 * 4096 * 2304

// fetch asks the child for the newest whole picture, part by part.
func fetch(ctx context.Context, p *child.Process) (image.Image, error) {
	var encoded []byte
	for {
		part, err := child.Call[drivers.PictureReply](ctx, p, "Camera.Picture", drivers.PictureRequest{Offset: len(encoded)})
		if err != nil {
			return nil, fmt.Errorf("fetch the picture: %w", err)
		}
		if part.Size > maxPNG || len(part.PNG) == 0 {
			return nil, fmt.Errorf("fetch the picture: a part of %d bytes of %d", len(part.PNG), part.Size)
		}
		encoded = append(encoded, part.PNG...)
		if len(encoded) >= part.Size {
			break
		}
	}
	picture, err := png.Decode(bytes.NewReader(encoded))
	if err != nil {
		return nil, fmt.Errorf("decode the picture: %w", err)
	}
	return picture, nil
}

// stillBelow is the mean difference of two pictures, of 255 levels, under which they
// count as alike. An encoder changes a repeated picture a little at each key frame.
const stillBelow = 0.2

// alike compares two pictures at a grid of points.
func alike(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	const points = 256 // a side
	bounds := a.Bounds()
	stepX, stepY := max(1, bounds.Dx()/points), max(1, bounds.Dy()/points)
	sum, n := 0.0, 0.0
	for y := bounds.Min.Y; y < bounds.Max.Y; y += stepY {
		for x := bounds.Min.X; x < bounds.Max.X; x += stepX {
			one, other := grey(a.At(x, y)), grey(b.At(x, y))
			sum += math.Abs(one - other)
			n++
		}
	}
	return sum < stillBelow*n
}

func grey(c color.Color) float64 {
	r, g, b, _ := c.RGBA()
	return float64(r+g+b) / (3 * 257)
}

// WritePNG writes the picture with the crop drawn into it, and with marks along its edges
// each 100 pixels, longer ones each 500, by which to choose another crop. The zero crop
// is the whole picture and is not drawn.
func WritePNG(out io.Writer, picture image.Image, crop drivers.Rect) error {
	if picture == nil {
		return errors.New("there is no picture to save")
	}
	drawn := image.NewRGBA(picture.Bounds())
	draw.Draw(drawn, drawn.Bounds(), picture, picture.Bounds().Min, draw.Src)
	rule(drawn)
	if crop != (drivers.Rect{}) {
		outline(drawn, image.Rect(crop.X, crop.Y, crop.X+crop.Width, crop.Y+crop.Height))
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	return encoder.Encode(out, drawn)
}

var (
	bright = color.RGBA{R: 255, G: 220, A: 255}
	dark   = color.RGBA{A: 255}
)

// outline draws the rectangle's border inside it, bright with a dark line beside it, so
// that it shows on any picture. What lies outside the picture is left out.
func outline(into *image.RGBA, r image.Rectangle) {
	width := max(2, into.Bounds().Dx()/480)
	frame(into, r, width, bright)
	frame(into, r.Inset(width), max(1, width/2), dark)
}

func frame(into *image.RGBA, r image.Rectangle, width int, c color.Color) {
	for _, side := range []image.Rectangle{
		image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+width), image.Rect(r.Min.X, r.Max.Y-width, r.Max.X, r.Max.Y),
		image.Rect(r.Min.X, r.Min.Y, r.Min.X+width, r.Max.Y), image.Rect(r.Max.X-width, r.Min.Y, r.Max.X, r.Max.Y),
	} {
		fill(into, side.Intersect(r), c)
	}
}

func fill(into *image.RGBA, r image.Rectangle, c color.Color) {
	draw.Draw(into, r.Intersect(into.Bounds()), image.NewUniform(c), image.Point{}, draw.Src)
}

// rule draws the marks along the four edges.
func rule(into *image.RGBA) {
	const step, longStep = 100, 500
	b := into.Bounds()
	length := max(8, b.Dy()/60)
	mark := func(at, edge int) int {
		if at%longStep == 0 {
			return edge * 3
		}
		return edge
	}
	for x := step; x < b.Dx(); x += step {
		long := mark(x, length)
		for _, r := range []image.Rectangle{image.Rect(x, 0, x+2, long), image.Rect(x, b.Dy()-long, x+2, b.Dy())} {
			fill(into, r, bright)
			fill(into, r.Add(image.Pt(2, 0)), dark)
		}
	}
	for y := step; y < b.Dy(); y += step {
		long := mark(y, length)
		for _, r := range []image.Rectangle{image.Rect(0, y, long, y+2), image.Rect(b.Dx()-long, y, b.Dx(), y+2)} {
			fill(into, r, bright)
			fill(into, r.Add(image.Pt(0, 2)), dark)
		}
	}
}
