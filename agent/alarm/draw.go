package alarm

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"

	"meltwatch/agent/message"
)

// The colours of the evidence. Form tells them apart as well: the crop is a thin frame,
// the attention a circle, the change a square.
var (
	cropColour      = color.RGBA{0xff, 0xff, 0xff, 0xff}
	attentionColour = color.RGBA{0x30, 0xc8, 0xff, 0xff}
	changeColour    = color.RGBA{0xff, 0xd0, 0x20, 0xff}
)

// maxSide bounds a picture that is decoded, in pixels.
const maxSide = 4096

// Draw draws the crop, the model's attention and the change into a picture, a JPEG. The
// crop is in thousandths of the picture's width and height.
func Draw(picture []byte, crop image.Rectangle, evidence *message.Evidence, change *message.Change) ([]byte, error) {
	config, err := jpeg.DecodeConfig(bytes.NewReader(picture))
	if err == nil && max(config.Width, config.Height) > maxSide {
		err = fmt.Errorf("%d×%d pixels is too large", config.Width, config.Height)
	}
	if err != nil {
		return nil, fmt.Errorf("picture of the alarm: %w", err)
	}
	decoded, err := jpeg.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, fmt.Errorf("picture of the alarm: %w", err)
	}
	canvas := image.NewRGBA(decoded.Bounds())
	draw.Draw(canvas, canvas.Bounds(), decoded, decoded.Bounds().Min, draw.Src)
	w, h := canvas.Bounds().Dx(), canvas.Bounds().Dy()
	area := image.Rect(w*crop.Min.X/1000, h*crop.Min.Y/1000, w*crop.Max.X/1000, h*crop.Max.Y/1000)
	frame(canvas, area, 1, cropColour)
	if evidence != nil {
		x, y, r := placed(area, *evidence)
		circle(canvas, x, y, r, 2, attentionColour)
	}
	if change != nil {
		x, y, r := placed(area, change.Evidence)
		frame(canvas, image.Rect(int(x-r), int(y-r), int(x+r), int(y+r)), 2, changeColour)
	}
	var out bytes.Buffer
	const quality = 75
	if err := jpeg.Encode(&out, canvas, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("picture of the alarm: %w", err)
	}
	return out.Bytes(), nil
}

// placed returns a centre and a radius in pixels.
func placed(area image.Rectangle, e message.Evidence) (x, y, r float64) {
	x = float64(area.Min.X) + e.X*float64(area.Dx())
	y = float64(area.Min.Y) + e.Y*float64(area.Dy())
	return x, y, max(e.Spread*float64(min(area.Dx(), area.Dy())), 6)
}

func frame(canvas *image.RGBA, r image.Rectangle, width int, c color.RGBA) {
	for _, side := range []image.Rectangle{
		image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+width), image.Rect(r.Min.X, r.Max.Y-width, r.Max.X, r.Max.Y),
		image.Rect(r.Min.X, r.Min.Y, r.Min.X+width, r.Max.Y), image.Rect(r.Max.X-width, r.Min.Y, r.Max.X, r.Max.Y),
	} {
		draw.Draw(canvas, side, image.NewUniform(c), image.Point{}, draw.Src)
	}
}

func circle(canvas *image.RGBA, x, y, r, width float64, c color.RGBA) {
	outer := image.Rect(int(x-r-width), int(y-r-width), int(x+r+width)+1, int(y+r+width)+1).Intersect(canvas.Bounds())
	for py := outer.Min.Y; py < outer.Max.Y; py++ {
		for px := outer.Min.X; px < outer.Max.X; px++ {
			if d := math.Hypot(float64(px)-x, float64(py)-y) - r; math.Abs(d) <= width/2 {
				canvas.SetRGBA(px, py, c)
			}
		}
	}
}
