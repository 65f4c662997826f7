package scene

import (
	"bytes"
	"image"
	"math"
	"testing"

	"meltwatch/simulator/furnace"
)

// walk runs a mixed scenario and hands every n-th second to look.
func walk(seed uint64, seconds, every int, look func(*Scene, furnace.State)) {
	b := furnace.NewBatch(seed, seed)
	f := furnace.New(furnace.Draw(furnace.Mixed, float64(seconds), seed, seed, seed), b, seed, seed)
	s := New(b)
	for t := 0; t < seconds; t += every {
		look(s, f.AdvanceTo(float64(t)))
	}
}

func TestTheCropIsTheAreaResizedWholePicture(t *testing.T) {
	picture := image.NewYCbCr(image.Rect(0, 0, Width, Height), image.YCbCrSubsampleRatio420)
	crop := make([]byte, 3*Side*Side)
	for seed := range uint64(2) {
		walk(seed+20, 900, 60, func(s *Scene, state furnace.State) {
			s.Crop(state, crop, nil)
			s.Full(state, picture)
			var difference float64
			for y := range Side {
				for x := range Side {
					n := 3 * (y*Side + x)
					mean := cell(picture, x, y)
					for c := range 3 {
						difference += math.Abs(mean[c]-float64(crop[n+c])) / (3 * Side * Side)
					}
				}
			}
			if difference > 4 {
				t.Errorf("second %v: crop and whole picture differ by %.1f grey levels in the mean", state.Time, difference)
			}
		})
	}
}

// cell is the mean colour of the pixels of crop cell (x, y).
func cell(p *image.YCbCr, x, y int) (mean [3]float64) {
	for i := range cellPixels * cellPixels {
		at := p.YCbCrAt(CropRect.Min.X+x*cellPixels+i%cellPixels, CropRect.Min.Y+y*cellPixels+i/cellPixels)
		luma, blue, red := float64(at.Y), float64(at.Cb)-128, float64(at.Cr)-128
		for c, v := range [3]float64{luma + 1.402*red, luma - 0.344*blue - 0.714*red, luma + 1.772*blue} {
			mean[c] += min(max(v, 0), 255) / (cellPixels * cellPixels)
		}
	}
	return mean
}

func TestAPictureDependsOnTheStateAlone(t *testing.T) {
	a, b := make([]byte, 3*Side*Side), make([]byte, 3*Side*Side)
	other := New(furnace.NewBatch(5, 5))
	walk(5, 1200, 50, func(s *Scene, state furnace.State) {
		s.Crop(state, a, nil)
		other.Crop(state, b, nil)
		if !bytes.Equal(a, b) {
			t.Errorf("second %v: two scenes of one batch differ", state.Time)
		}
		s.Crop(state, b, nil)
		if !bytes.Equal(a, b) {
			t.Errorf("second %v: drawing twice differs", state.Time)
		}
	})
}

func TestTheMaskHoldsTheSpotsShareAndNothingWhenHidden(t *testing.T) {
	mask, pixels := make([]byte, Side*Side), make([]byte, 3*Side*Side)
	grown := 0
	walk(6, 3600, 5, func(s *Scene, state furnace.State) {
		s.Crop(state, pixels, mask)
		cells := bytes.Count(mask, []byte{1})
		spot := state.Picture.Spot
		switch {
		case spot.Shine == 0 || spot.Cover > 0.5:
			if cells != 0 {
				t.Errorf("second %v: %d cells masked without a visible spot", state.Time, cells)
			}
		case spot.Heat > 0.9:
			grown++
			want := spot.Area * Side * Side
			if float64(cells) < 0.7*want || float64(cells) > 1.3*want {
				t.Errorf("second %v: %d cells masked, want about %.0f", state.Time, cells, want)
			}
		}
	})
	if grown == 0 {
		t.Error("no grown spot in an hour")
	}
}

func TestTheSpotOutshinesItsSurroundings(t *testing.T) {
	mask, pixels := make([]byte, Side*Side), make([]byte, 3*Side*Side)
	walk(8, 3600, 7, func(s *Scene, state furnace.State) {
		p := state.Picture
		if p.Spot.Heat < 0.9 || p.Spot.Cover > 0 || p.Mist > 0.05 || p.PasserSeen > 0 || p.Gain[0] > 1.5 {
			return
		}
		s.Crop(state, pixels, mask)
		var in, out, cells float64
		for n, m := range mask {
			if m == 1 {
				in += float64(pixels[3*n])
				cells++
			} else {
				out += float64(pixels[3*n])
			}
		}
		if in/cells < 1.3*out/(Side*Side-cells) {
			t.Errorf("second %v: red is %.0f in the spot, %.0f around it", state.Time, in/cells, out/(Side*Side-cells))
		}
	})
}
