package camera

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"io"
	"net"
	"net/rpc"
	"testing"
	"time"

	"meltwatch/drivers"
	"meltwatch/drivers/rtsp"
	"meltwatch/drivers/rtsp/rtsptest"
)

// dial serves the calls as the child protocol does, over a pipe.
func dial(t *testing.T) *rpc.Client {
	t.Helper()
	camera := rtsp.New()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- camera.Run(ctx) }()
	server := rpc.NewServer()
	if err := server.RegisterName("Camera", &calls{camera}); err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	go server.ServeConn(far)
	client := rpc.NewClient(near)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := client.Close(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("close: %v", err)
		}
	})
	return client
}

func settings(url string) drivers.CameraSettings {
	return drivers.CameraSettings{
		URL: url, Transport: drivers.TransportAuto, Decode: drivers.DecodeAuto, Timeout: 3 * time.Second, Width: 64, Height: 64, Resize: "area",
		StaleAfter: 2 * time.Second, FrozenAfter: 2500 * time.Millisecond, BlackAfter: 2 * time.Second,
	}
}

func TestCallsOverTheWire(t *testing.T) {
	source := rtsptest.Start(t, "", "")
	client := dial(t)
	var reply drivers.LatestReply
	if err := client.Call("Camera.Latest", drivers.LatestRequest{}, &reply); err != nil || reply.Status != drivers.Absent {
		t.Errorf("before it is configured: %s (error %v), want absent", reply.Status, err)
	}
	s := settings(source.URL())
	if err := client.Call("Camera.Configure", s, &struct{}{}); err != nil {
		t.Fatalf("Configure: %v", err)
	}
	for start := time.Now(); reply.Status != drivers.OK; time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("%s (%s) after 20 s", reply.Status, reply.Cause)
		}
		reply = drivers.LatestReply{} // gob leaves fields that are zero as they were
		if err := client.Call("Camera.Latest", drivers.LatestRequest{}, &reply); err != nil {
			t.Fatalf("Latest: %v", err)
		}
	}
	if len(reply.Pixels) != 3*64*64 {
		t.Errorf("%d bytes of pixels, want %d", len(reply.Pixels), 3*64*64)
	}
	var preview drivers.PreviewReply
	if err := client.Call("Camera.Preview", drivers.PreviewRequest{MaxWidth: 320, Quality: 80}, &preview); err != nil || len(preview.JPEG) == 0 {
		t.Errorf("preview of %d bytes, error %v", len(preview.JPEG), err)
	}
	var report drivers.StreamReport
	if err := client.Call("Camera.Report", struct{}{}, &report); err != nil || report.Decoded == 0 || report.Codec != "H264" || report.Width != 320 || report.Ended != "" {
		t.Errorf("report %+v, error %v", report, err)
	}
	checkWholePicture(t, client)
	s.Width = 0
	if err := client.Call("Camera.Configure", s, &struct{}{}); err == nil {
		t.Error("settings that cannot work were accepted")
	}
}

// checkWholePicture fetches a whole picture, part by part.
func checkWholePicture(t *testing.T, client *rpc.Client) {
	t.Helper()
	var encoded []byte
	for size := 1; len(encoded) < size; {
		var part drivers.PictureReply
		if err := client.Call("Camera.Picture", drivers.PictureRequest{Offset: len(encoded)}, &part); err != nil || len(part.PNG) == 0 {
			t.Fatalf("part at %d: %d bytes, %v", len(encoded), len(part.PNG), err)
		}
		encoded, size = append(encoded, part.PNG...), part.Size
	}
	if picture, err := png.DecodeConfig(bytes.NewReader(encoded)); err != nil || picture.Width != 320 || picture.Height != 240 {
		t.Errorf("picture %+v, error %v", picture, err)
	}
	for _, offset := range []int{-1, len(encoded), 1} { // the parts are gone once the last was fetched
		if err := client.Call("Camera.Picture", drivers.PictureRequest{Offset: offset}, &drivers.PictureReply{}); err == nil {
			t.Errorf("a part at %d", offset)
		}
	}
}
