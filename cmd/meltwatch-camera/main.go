// Command meltwatch-camera is the agent's camera child: it keeps one RTSP stream
// open and serves its newest frame to the agent that started it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"meltwatch/child"
	"meltwatch/drivers/camera"
	"meltwatch/tick"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	child.OneProcessor() // pictures are decoded in threads of the decoder
	tick.From(time.Now())
	signal.Ignore(syscall.SIGINT) // typed at the agent's terminal; the agent ends its children itself
	if err := camera.Serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "meltwatch-camera:", err)
		os.Exit(1)
	}
}
