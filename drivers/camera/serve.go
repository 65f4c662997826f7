// Package camera is the camera child's service: it answers the agent's calls under
// the name "Camera" (see package drivers for the calls, child for the connection)
// from the one stream that drivers/rtsp keeps open.
//
// The child is a separate process because OpenCV can block indefinitely and can
// abort. It ends with its parent, and exits with an error when the decoder is
// blocked; the agent then restarts it. It limits its own memory, so a camera that
// sends too much affects only this process. Only the count of refused log-ins
// survives a restart, in a file.
package camera

import (
	"context"
	"fmt"
	"syscall"

	"meltwatch/child"
	"meltwatch/drivers"
	"meltwatch/drivers/rtsp"
)

// Serve limits the memory of this process and answers its parent. It returns nil when the
// parent has gone or ctx ends, and an error when the stream cannot continue. It does not
// wait for its second goroutine, which a blocked decoder may hold: the process ends.
func Serve(ctx context.Context) error {
	if err := limitMemory(); err != nil {
		return err
	}
	camera := rtsp.New()
	ended := make(chan error, 2)
	go func() { ended <- camera.Run(ctx) }()
	go func() {
		ended <- child.Serve(ctx, child.Service{
			Name:     "Camera",
			Version:  drivers.CameraVersion,
			Receiver: &calls{camera},
		})
	}()
	return <-ended
}

// memoryLimit limits this process's own memory, in bytes. Measured: 224 MB at
// 1280×720 and 345 MB at 3840×2160 on two cores; each further core's decoder thread
// takes a picture more. Under the unit's MemoryMax the whole service would be killed
// for this process; under this limit it alone fails.
const memoryLimit = 640 << 20

// limitMemory makes the process's own allocations fail at the limit. Pages of files
// and address space that is only reserved, of which Go reserves much, do not count.
func limitMemory() error {
	limit := syscall.Rlimit{Cur: memoryLimit, Max: memoryLimit}
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &limit); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	return nil
}

// calls are the agent's requests, in the shape that net/rpc wants.
type calls struct{ camera *rtsp.Camera }

// Configure replaces the stream's settings.
func (c *calls) Configure(s drivers.CameraSettings, _ *struct{}) error {
	return c.camera.Configure(s)
}

// Latest returns the newest frame and the camera's health.
func (c *calls) Latest(r drivers.LatestRequest, reply *drivers.LatestReply) (err error) {
	*reply, err = c.camera.Latest(r)
	return err
}

// Report returns what is known of the camera and its stream.
func (c *calls) Report(_ struct{}, reply *drivers.StreamReport) (err error) {
	*reply, err = c.camera.Report()
	return err
}

// Picture returns a part of the newest whole picture as PNG.
func (c *calls) Picture(r drivers.PictureRequest, reply *drivers.PictureReply) (err error) {
	*reply, err = c.camera.Picture(r)
	return err
}

// Preview returns the newest whole picture.
func (c *calls) Preview(r drivers.PreviewRequest, reply *drivers.PreviewReply) (err error) {
	*reply, err = c.camera.Preview(r)
	return err
}
