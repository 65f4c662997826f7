// Command meltwatch-camera is the agent's camera child: it keeps one RTSP stream
// open and serves its newest frame to the agent that started it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"meltwatch/drivers/camera"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// Pictures are decoded in threads of the decoder. With one thread at a time for the rest,
	// a packet wakes no second one.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	signal.Ignore(syscall.SIGINT) // typed at the agent's terminal; the agent ends its children itself
	if err := camera.Serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "meltwatch-camera:", err)
		os.Exit(1)
	}
}
