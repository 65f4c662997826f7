package rtsp

import (
	"errors"
	"fmt"
	"image"
	"net/url"
	"time"

	"meltwatch/drivers"
)

// largest is the most pixels a side that the model may ask for.
const largest = 4096

// check reports what keeps the settings from working, by configuration key.
func check(s drivers.CameraSettings) error {
	return errors.Join(
		checkURL(s.URL),
		unless(s.Timeout > 0, "camera.timeout: %v is not a time limit; set it above 0, such as 5s", s.Timeout),
		unless(s.StaleAfter > 0 && s.FrozenAfter > 0 && s.BlackAfter > 0,
			"camera.stale_after, frozen_after, black_after: must be above 0, such as 2s"),
		unless(s.Crop == drivers.Rect{} || s.Crop.X >= 0 && s.Crop.Y >= 0 && s.Crop.Width > 0 && s.Crop.Height > 0,
			"camera.crop: %+v is not a rectangle; set width and height above 0, or all to 0 for the whole picture", s.Crop),
		unless(min(s.Width, s.Height) > 0 && max(s.Width, s.Height) <= largest,
			"model input of %d×%d pixels is outside 1 to %d; correct the model's manifest", s.Width, s.Height, largest),
		unless(s.Resize == "area", "resize filter %q is not built in; the model's manifest must say area", s.Resize),
	)
}

func unless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil: // the error would repeat the URL, and a password that stands in it by mistake
		return errors.New("camera.url: not a URL; write rtsp://host:554/path")
	case u.User != nil:
		return errors.New("camera.url: holds a user or password; move them to camera.username and camera.password_file")
	case u.Scheme != "rtsp" && u.Scheme != "rtsps" || u.Hostname() == "":
		return fmt.Errorf("camera.url: %q is not an address of a stream; write rtsp://host:554/path", raw)
	}
	return nil
}

// withCredentials is the URL as the decoder needs it. It must not be shown.
func withCredentials(s drivers.CameraSettings) (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", errors.New("camera.url: not a URL")
	}
	if s.Username != "" {
		u.User = url.UserPassword(s.Username, s.Password)
	}
	return u.String(), nil
}

// hostPort is where the camera listens.
func hostPort(s drivers.CameraSettings) (host, port string, err error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", "", errors.New("camera.url: not a URL")
	}
	switch {
	case u.Port() != "":
		return u.Hostname(), u.Port(), nil
	case u.Scheme == "rtsps":
		return u.Hostname(), "322", nil
	default:
		return u.Hostname(), "554", nil
	}
}

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

// blocked is how long a call into the decoder may take. Its own timeout should
// have ended it in half of that.
func blocked(s drivers.CameraSettings) time.Duration { return 2 * s.Timeout }
