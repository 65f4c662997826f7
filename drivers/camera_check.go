package drivers

import (
	"errors"
	"net/url"
	"slices"

	"meltwatch/config"
)

// maxInputSide is the most pixels a side that the model may ask for.
const maxInputSide = 4096

// Check reports what keeps the settings from working, by configuration key.
func (s CameraSettings) Check() error {
	return errors.Join(
		checkCameraURL(s.URL),
		require(s.Timeout > 0, "camera.timeout", "%v is not a time limit; set it above 0, such as 5s", s.Timeout),
		require(s.StaleAfter > 0 && s.FrozenAfter > 0 && s.BlackAfter > 0,
			"camera.stale_after", "must be above 0, such as 2s, and so must frozen_after and black_after"),
		require(s.Crop == Rect{} || s.Crop.X >= 0 && s.Crop.Y >= 0 && s.Crop.Width > 0 && s.Crop.Height > 0,
			"camera.crop", "%+v is not a rectangle; set width and height above 0, or all to 0 for the whole picture", s.Crop),
		require(slices.Contains([]string{TransportAuto, TransportTCP, TransportUDP}, s.Transport),
			"camera.transport", "%q is not one of auto, tcp, udp", s.Transport),
		require(s.Transport != TransportUDP || !Secure(s.URL),
			"camera.transport", "RTP over UDP is not encrypted, so it does not go with rtsps; set tcp or auto"),
		require(min(s.Width, s.Height) > 0 && max(s.Width, s.Height) <= maxInputSide,
			"model.path", "the input of %d×%d pixels is outside 1 to %d; correct the model's manifest", s.Width, s.Height, maxInputSide),
		require(s.Resize == "area", "model.path", "resize filter %q is not built in; the model's manifest must say area", s.Resize),
	)
}

func require(ok bool, key, format string, args ...any) error {
	if ok {
		return nil
	}
	return config.KeyErrorf(key, format, args...)
}

func checkCameraURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil: // the error would repeat the URL, and a password that stands in it by mistake
		return config.KeyErrorf("camera.url", "not a URL; write rtsp://host:554/path")
	case u.User != nil:
		return config.KeyErrorf("camera.url", "holds a user or password; move them to camera.username and camera.password_file")
	case u.Scheme != "rtsp" && u.Scheme != "rtsps" || u.Hostname() == "":
		return config.KeyErrorf("camera.url", "not an address of a stream; write rtsp://host:554/path")
	}
	return nil
}

// Secure reports whether the camera's URL asks for TLS.
func Secure(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "rtsps"
}

// PortOf is the port of an RTSP URL, the scheme's own where it names none.
func PortOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "rtsps":
		return "322"
	default:
		return "554"
	}
}
