package probe

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"

	"meltwatch/drivers"
)

func checkDrawn(t *testing.T, r Result, crop drivers.Rect) {
	t.Helper()
	var out bytes.Buffer
	if err := WritePNG(&out, r.Image, crop); err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(&out)
	if err != nil || drawn.Bounds() != r.Image.Bounds() {
		t.Fatalf("%v, %v", err, drawn.Bounds())
	}
	alike := func(a, b color.Color) bool { return color.RGBAModel.Convert(a) == color.RGBAModel.Convert(b) }
	right, bottom := crop.X+crop.Width-1, crop.Y+crop.Height-1
	for _, corner := range []image.Point{{crop.X, crop.Y}, {right, crop.Y}, {crop.X, bottom}, {right, bottom}} {
		if !alike(drawn.At(corner.X, corner.Y), bright) {
			t.Errorf("the outline lacks %v", corner)
		}
	}
	for _, at := range []image.Point{{crop.X + crop.Width/2, crop.Y + crop.Height/2}, {crop.X - 2, crop.Y + 50}, {right + 2, bottom - 50}} {
		if !alike(drawn.At(at.X, at.Y), r.Image.At(at.X, at.Y)) {
			t.Errorf("the picture is changed at %v", at)
		}
	}
	if !alike(drawn.At(100, 0), bright) || alike(drawn.At(150, 0), bright) {
		t.Error("the marks along the edges are missing")
	}
}

func TestAlike(t *testing.T) {
	noisy := func(seed uint64, noise int) image.Image {
		random := rand.New(rand.NewPCG(seed, 1))
		picture := image.NewGray(image.Rect(0, 0, 640, 360))
		for i := range picture.Pix {
			picture.Pix[i] = uint8(100 + i%50 + random.IntN(2*noise+1) - noise)
		}
		return picture
	}
	for _, c := range []struct {
		a, b image.Image
		want bool
	}{
		{noisy(1, 2), noisy(1, 2), true}, {noisy(1, 2), noisy(2, 2), false}, {noisy(1, 0), noisy(2, 1), false}, {noisy(1, 0), noisy(2, 0), true},
		{noisy(1, 0), image.NewGray(image.Rect(0, 0, 320, 240)), false},
	} {
		if alike(c.a, c.b) != c.want {
			t.Errorf("alike is %v", !c.want)
		}
	}
}

// A crop beyond the picture, and any picture, is drawn without an error.
func TestDrawingStaysInsideThePicture(t *testing.T) {
	for _, size := range []image.Rectangle{image.Rect(0, 0, 1, 1), image.Rect(0, 0, 64, 48), image.Rect(0, 0, 640, 360)} {
		for _, crop := range []drivers.Rect{{}, {X: 600, Y: 300, Width: 100, Height: 100}, {X: 9000, Y: 9000, Width: 16, Height: 16}} {
			var out bytes.Buffer
			if err := WritePNG(&out, image.NewGray(size), crop); err != nil {
				t.Errorf("%v of %v: %v", crop, size, err)
			}
		}
	}
	if err := WritePNG(&bytes.Buffer{}, nil, drivers.Rect{}); err == nil {
		t.Error("a picture out of nothing")
	}
}
