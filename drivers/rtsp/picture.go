package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"

	"gocv.io/x/gocv"

	"meltwatch/drivers"
	"meltwatch/drivers/liveness"
	"meltwatch/drivers/rtsp/relay"
)

// All arguments to OpenCV are checked first, because its exceptions end the process.

// free releases a picture's memory in C++, which cannot fail.
func free(m gocv.Mat) { _ = m.Close() }

// thumbnail is the picture in the form that package liveness takes.
func thumbnail(picture gocv.Mat) (liveness.Picture, error) {
	small, grey := gocv.NewMat(), gocv.NewMat()
	defer free(small)
	defer free(grey)
	size := image.Pt(liveness.PictureWidth, liveness.PictureHeight)
	gocv.Resize(picture, &small, size, 0, 0, gocv.InterpolationNearestNeighbor)
	gocv.CvtColor(small, &grey, gocv.ColorBGRToGray)
	pixels := grey.ToBytes()
	if len(pixels) != size.X*size.Y {
		return liveness.Picture{}, fmt.Errorf("shrink picture: %d bytes came of %d×%d", len(pixels), size.X, size.Y)
	}
	return liveness.Picture{Width: size.X, Height: size.Y, Pixels: pixels}, nil
}

// checkDecoded reports why a decoded picture cannot be used.
func checkDecoded(picture gocv.Mat) error {
	if picture.Type() != gocv.MatTypeCV8UC3 {
		return fmt.Errorf("picture has type %v, not 8-bit colour", picture.Type())
	}
	return relay.Size{Width: picture.Cols(), Height: picture.Rows()}.Check()
}

// cropWithin is the crop as a rectangle of a picture of the given size. A larger
// rectangle would make OpenCV end the process.
func cropWithin(crop drivers.Rect, width, height int) (image.Rectangle, error) {
	whole := image.Rect(0, 0, width, height)
	if crop == (drivers.Rect{}) {
		return whole, nil
	}
	r := image.Rect(crop.X, crop.Y, crop.X+crop.Width, crop.Y+crop.Height)
	if !r.In(whole) || r.Empty() {
		return r, fmt.Errorf("camera.crop: %d×%d at (%d, %d) reaches out of the camera's %d×%d picture; correct it",
			crop.Width, crop.Height, crop.X, crop.Y, width, height)
	}
	return r, nil
}

// forModel cuts the crop out and scales it: row-major RGB of Width × Height.
func forModel(picture gocv.Mat, s drivers.CameraSettings) ([]byte, error) {
	crop, err := cropWithin(s.Crop, picture.Cols(), picture.Rows())
	if err != nil {
		return nil, err
	}
	region := picture.Region(crop)
	defer free(region)
	scaled, rgb := gocv.NewMat(), gocv.NewMat()
	defer free(scaled)
	defer free(rgb)
	// With the area filter each pixel is the mean of what it covers, so small spots dim
	// but do not vanish.
	gocv.Resize(region, &scaled, image.Pt(s.Width, s.Height), 0, 0, gocv.InterpolationArea)
	gocv.CvtColor(scaled, &rgb, gocv.ColorBGRToRGB)
	return rgb.ToBytes(), nil
}

// encodePNG encodes the whole picture without loss, quickly rather than small. It uses Go's
// encoder, because the package's OpenCV has no PNG.
func encodePNG(picture gocv.Mat) ([]byte, error) {
	rgba := gocv.NewMat()
	defer free(rgba)
	gocv.CvtColor(picture, &rgba, gocv.ColorBGRToRGBA)
	pixels := &image.NRGBA{Pix: rgba.ToBytes(), Stride: 4 * rgba.Cols(), Rect: image.Rect(0, 0, rgba.Cols(), rgba.Rows())}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, pixels); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	return out.Bytes(), nil
}

// maxPreview bounds a preview in bytes: it goes to the agent, and may continue over a
// slow uplink.
const maxPreview = 512 << 10

// preview encodes the whole picture, at most as wide as requested. If the result is too
// large, it lowers the quality, then the size.
func preview(picture gocv.Mat, r drivers.PreviewRequest) ([]byte, error) {
	if r.Quality < 1 || r.Quality > 100 || r.MaxWidth < 1 {
		return nil, fmt.Errorf("preview of width %d, quality %d: set a width above 0 and a quality of 1 to 100", r.MaxWidth, r.Quality)
	}
	width, quality := min(r.MaxWidth, picture.Cols()), r.Quality
	for width > 0 {
		jpeg, err := encode(picture, width, quality)
		if err != nil || len(jpeg) <= maxPreview {
			return jpeg, err
		}
		if quality > 50 {
			quality = 50
		} else {
			width = width * 2 / 3
		}
	}
	return nil, errors.New("preview too large at any size")
}

func encode(picture gocv.Mat, width, quality int) ([]byte, error) {
	height := max(1, picture.Rows()*width/picture.Cols())
	scaled := gocv.NewMat()
	defer free(scaled)
	gocv.Resize(picture, &scaled, image.Pt(width, height), 0, 0, gocv.InterpolationArea)
	buffer, err := gocv.IMEncodeWithParams(gocv.JPEGFileExt, scaled, []int{gocv.IMWriteJpegQuality, quality})
	if err != nil {
		return nil, fmt.Errorf("encode preview: %w", err)
	}
	defer buffer.Close()
	return bytes.Clone(buffer.GetBytes()), nil // the buffer's memory is C++'s
}
