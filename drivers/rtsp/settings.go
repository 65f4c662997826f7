package rtsp

import (
	"fmt"
	"image"
	"time"

	"meltwatch/drivers"
)

// cropWithin is the crop as a rectangle of a picture of the given size. Asking
// OpenCV for more than there is would end the process.
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

// hopeless is how long a call into the decoder may last beyond what was granted
// it, before the process is given up: closing its stream should have ended it.
const hopeless = 5 * time.Second
