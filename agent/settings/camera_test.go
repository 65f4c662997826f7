package settings

import (
	"testing"

	"meltwatch/config"
)

func TestCameraIsKnownByItsPicture(t *testing.T) {
	one := config.Camera{URL: "rtsp://192.0.2.11:554/stream", Crop: config.Crop{X: 10, Y: 20, Width: 300, Height: 200}}
	same := one
	same.Username, same.Decode = "viewer", "all"
	if cameraOf(one) != cameraOf(same) {
		t.Error("the log-in or how pictures are decoded makes another camera")
	}
	moved, other := one, one
	moved.Crop.X++
	other.URL += "2"
	if cameraOf(one) == cameraOf(moved) || cameraOf(one) == cameraOf(other) {
		t.Error("another crop or another URL is the same camera")
	}
}
