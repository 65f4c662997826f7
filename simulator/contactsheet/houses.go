package contactsheet

import (
	"fmt"
	"image"
	"image/png"
	"io"

	"meltwatch/simulator/families"
	"meltwatch/simulator/house"
)

// views are the columns of the sheet of houses.
var views = []struct {
	label string
	edit  func(*house.View)
}{
	{"sound", func(*house.View) {}},
	{"growth 0.2", func(v *house.View) { v.Spot.Growth = 0.2 }},
	{"growth 0.5", func(v *house.View) { v.Spot.Growth = 0.5 }},
	{"growth 1", func(v *house.View) { v.Spot.Growth = 1 }},
	{"dark, 0.7", func(v *house.View) { v.Spot.Growth, v.Exposure = 0.7, -0.9 }},
	{"white, 0.7", func(v *house.View) { v.Spot.Growth, v.Exposure = 0.7, 0.9 }},
	{"mist", func(v *house.View) { v.Mist = 0.8 }},
	{"passer", func(v *house.View) { v.Passes, v.Passer, v.Sparks = true, 0.5, 0.8 }},
	{"ember", func(v *house.View) { v.EmberX, v.EmberY, v.Ember = 0.3, 0.6, 1 }},
}

const (
	meltsShown   = 2  // of each house
	filmSeconds  = 30 // before the picture shown, for the camera's exposure to settle
	firstSeed    = 10
	cropHigh     = house.Side
	houseRowHigh = cropHigh + gap
)

// WriteHouses draws some melts of every other house, a row each, as PNG.
func WriteHouses(w io.Writer) error {
	var names []string
	for _, name := range families.Pictures() {
		if name != families.Scene {
			names = append(names, name)
		}
	}
	rows := len(names) * meltsShown
	sheet := image.NewRGBA(image.Rect(0, 0, gap+len(views)*houseRowHigh, labelHigh+gap+rows*houseRowHigh))
	for i := range sheet.Pix {
		sheet.Pix[i] = [4]byte{paper.R, paper.G, paper.B, paper.A}[i%4]
	}
	for column, view := range views {
		write(sheet, gap+column*houseRowHigh, 4, view.label, ink)
		for row := range rows {
			crop, err := film(names[row/meltsShown], uint64(firstSeed+row%meltsShown), view.edit)
			if err != nil {
				return err
			}
			for y := range house.Side {
				for x := range house.Side {
					at := 3 * (y*house.Side + x)
					sheet.SetRGBA(gap+column*houseRowHigh+x, labelHigh+row*houseRowHigh+y, coarse(int(crop[at]), int(crop[at+1]), int(crop[at+2])))
				}
			}
		}
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(w, sheet); err != nil {
		return fmt.Errorf("encode sheet: %w", err)
	}
	return nil
}

// film shows a melt for a while and returns the last crop.
func film(family string, seed uint64, edit func(*house.View)) ([]byte, error) {
	camera, err := families.Camera(family, house.Setting{Seed: seed, SetPoint: 14_000})
	if err != nil {
		return nil, err
	}
	crop := make([]byte, 3*house.Side*house.Side)
	for t := range filmSeconds + 1 {
		v := house.View{Time: float64(t), Light: 1, Turbulence: 1, Spot: house.Spot{Episode: 1, Seed: 77}}
		edit(&v)
		if v.Spot.Growth == 0 {
			v.Spot = house.Spot{}
		}
		camera.Crop(v, crop, nil)
	}
	return crop, nil
}
