// Command meltwatch-infer is the agent's model child: the process in which
// TensorFlow lives.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"meltwatch/child"
	"meltwatch/inference/server"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("model child ended", "err", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	// TensorFlow logs information to stderr; keep only its errors.
	if os.Getenv("TF_CPP_MIN_LOG_LEVEL") == "" {
		if err := os.Setenv("TF_CPP_MIN_LOG_LEVEL", "2"); err != nil {
			return fmt.Errorf("set TensorFlow's log level: %w", err)
		}
	}
	child.OneProcessor() // TensorFlow has threads of its own, and calls come one after the other
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return server.Serve(ctx, log)
}
