// Package contactsheet draws a contact sheet: each state of the furnace as the camera
// sees it, and beside it the crop that the model looks at.
package contactsheet

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"

	"meltwatch/simulator/furnace"
	"meltwatch/simulator/scene"
)

// Sizes in pixels. A tile is a label, the picture, and the crop at double size.
const (
	columns     = 4
	shrink      = 6 // picture pixels for one on the sheet
	pictureWide = scene.Width / shrink
	pictureHigh = scene.Height / shrink
	cropSide    = pictureHigh
	labelHigh   = letterHigh + 6
	gap         = 6
	tileWide    = pictureWide + 2 + cropSide + gap
	tileHigh    = labelHigh + pictureHigh + gap
)

var (
	paper = color.RGBA{R: 24, G: 26, B: 30, A: 255}
	ink   = color.RGBA{R: 225, G: 225, B: 215, A: 255}
)

// Write draws the sheet as PNG.
func Write(w io.Writer) error {
	rows := (len(tiles) + columns - 1) / columns
	sheet := image.NewRGBA(image.Rect(0, 0, gap+columns*tileWide, gap+rows*tileHigh))
	for i := range sheet.Pix {
		sheet.Pix[i] = [4]byte{paper.R, paper.G, paper.B, paper.A}[i%4]
	}
	for i, t := range tiles {
		t.draw(sheet, gap+i%columns*tileWide, gap+i/columns*tileHigh)
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(w, sheet); err != nil {
		return fmt.Errorf("encode sheet: %w", err)
	}
	return nil
}

// draw puts the tile's top left corner at (x, y).
func (t tile) draw(to *image.RGBA, x, y int) {
	batch := furnace.NewBatch(t.seed, t.seed)
	f := furnace.New(t.Scenario, batch, t.seed, t.seed)
	s := scene.New(batch)
	state := f.AdvanceTo(t.at)
	write(to, x, y+2, t.label, ink)
	y += labelHigh
	picture := image.NewYCbCr(image.Rect(0, 0, scene.Width, scene.Height), image.YCbCrSubsampleRatio420)
	s.Full(state, picture)
	for py := range pictureHigh {
		for px := range pictureWide {
			to.SetRGBA(x+px, y+py, mean(picture, px*shrink, py*shrink))
		}
	}
	crop := make([]byte, 3*scene.Side*scene.Side)
	s.Crop(state, crop, nil)
	for py := range cropSide {
		for px := range cropSide {
			n := 3 * (py*scene.Side/cropSide*scene.Side + px*scene.Side/cropSide)
			to.SetRGBA(x+pictureWide+2+px, y+py, coarse(int(crop[n]), int(crop[n+1]), int(crop[n+2])))
		}
	}
}

// mean is the colour of shrink × shrink pixels of the picture.
func mean(p *image.YCbCr, x, y int) color.RGBA {
	var r, g, b int
	for i := range shrink * shrink {
		at := p.YCbCrAt(x+i%shrink, y+i/shrink)
		ar, ag, ab := color.YCbCrToRGB(at.Y, at.Cb, at.Cr)
		r, g, b = r+int(ar), g+int(ag), b+int(ab)
	}
	const n = shrink * shrink
	return coarse(r/n, g/n, b/n)
}

// coarse reduces the colours, so that the file stays small.
func coarse(r, g, b int) color.RGBA {
	const step = 4
	round := func(v int) uint8 { return uint8(min(v/step*step+step/2, 255)) }
	return color.RGBA{R: round(r), G: round(g), B: round(b), A: 255}
}
