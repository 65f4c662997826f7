// Command meltwatch-camera is the agent's camera child: it keeps one RTSP stream
// open and serves its newest frame to the agent that started it, under the name
// "Camera" (see package drivers for the calls, child for the connection).
//
// It is a separate process because OpenCV can block indefinitely and can abort. It
// ends with its parent, and exits with an error when the decoder is blocked; the
// agent then restarts it. It limits its own memory, so a camera that sends too much
// affects only this process. Only the count of refused log-ins survives a restart, in
// a file.
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
