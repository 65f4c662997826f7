// Command meltwatch-camera is the agent's camera child: it keeps one RTSP stream
// open and serves its newest frame to the agent that started it, under the name
// "Camera" (see package drivers for the calls, child for the connection).
//
// It is a process of its own because OpenCV can block for ever and can abort. It
// ends with its parent, and ends itself, not successfully, when the decoder is
// blocked; the agent starts it again. It bounds its own memory, so that a camera that
// sends too much costs this process alone. Across a restart it keeps one thing, in a
// file: how often the camera refused its log-in.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"meltwatch/child"
	"meltwatch/drivers"
	"meltwatch/drivers/rtsp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGINT) // typed at the agent's terminal; the agent ends its children itself
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "meltwatch-camera:", err)
		os.Exit(1)
	}
}

// serve returns when the parent is gone or ctx ends (nil), or when the camera
// cannot be kept any longer. It does not wait for the other half: a blocked
// decoder would hold it, and the process ends now in any case.
func serve(ctx context.Context) error {
	if err := boundMemory(); err != nil {
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
