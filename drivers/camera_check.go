package drivers

import (
	"errors"
	"net/url"
	"slices"

	"meltwatch/config"
)

// maxInputSide bounds the width and the height of the model's input, in pixels.
const maxInputSide = 4096

// Check reports every invalid setting by its configuration key.
func (s CameraSettings) Check() error {
	return errors.Join(
		checkCameraURL(s.URL),
		require(s.Timeout > 0, "camera.timeout", "%v is invalid; set it above 0, such as 5s", s.Timeout),
		require(s.StaleAfter > 0 && s.FrozenAfter > 0 && s.BlackAfter > 0,
			"camera.stale_after", "must be above 0, such as 2s, and so must frozen_after and black_after"),
		require(s.Crop == Rect{} || s.Crop.X >= 0 && s.Crop.Y >= 0 && s.Crop.Width > 0 && s.Crop.Height > 0,
			"camera.crop", "%+v is an invalid rectangle; set width and height above 0, or all to 0 for the whole picture", s.Crop),
		require(slices.Contains([]string{TransportAuto, TransportTCP, TransportUDP}, s.Transport),
			"camera.transport", "unknown transport %q; set auto, tcp or udp", s.Transport),
		require(s.Transport != TransportUDP || !Secure(s.URL),
			"camera.transport", "RTP over UDP is not encrypted, so it cannot be used with rtsps; set tcp or auto"),
		require(slices.Contains([]string{DecodeAuto, DecodeAll}, s.Decode),
			"camera.decode", "unknown choice %q; set auto or all", s.Decode),
		require(min(s.Width, s.Height) > 0 && max(s.Width, s.Height) <= maxInputSide,
			"model.path", "the model input of %d×%d pixels is outside 1 to %d; correct the model's manifest", s.Width, s.Height, maxInputSide),
		require(s.Resize == "area", "model.path", "unknown resize filter %q; the model's manifest must say area", s.Resize),
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
	case err != nil: // the error would repeat the URL, which may hold a password by mistake
		return config.KeyErrorf("camera.url", "invalid URL; write rtsp://host:554/path")
	case u.User != nil:
		return config.KeyErrorf("camera.url", "holds a user or password; move them to camera.username and camera.password_file")
	case u.Scheme != "rtsp" && u.Scheme != "rtsps" || u.Hostname() == "":
		return config.KeyErrorf("camera.url", "invalid stream address; write rtsp://host:554/path")
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
