// Command meltwatch-infer is the process in which TensorFlow lives. The agent
// starts it, hands it a socket and calls Model.Load, Model.EncodeFrame and
// Model.Step (package inference says what they take). It holds no state besides
// the loaded model, so the agent may kill and restart it at any time and lose
// nothing but the call in flight. It ends itself when the agent does.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"meltwatch/child"
	"meltwatch/inference"
	"meltwatch/inference/tensorflow"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("inference child ended", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	// TensorFlow's own notes on stderr would drown the log; keep its errors.
	if os.Getenv("TF_CPP_MIN_LOG_LEVEL") == "" {
		if err := os.Setenv("TF_CPP_MIN_LOG_LEVEL", "2"); err != nil {
			return fmt.Errorf("quieten TensorFlow: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return child.Serve(ctx, child.Service{
		Name:     "Model",
		Version:  inference.ChildVersion,
		Receiver: &service{open: openTensorFlow, log: log},
	})
}

func openTensorFlow(dir string) (loadedModel, error) {
	model, err := tensorflow.Open(dir)
	if err != nil {
		return nil, err
	}
	return model, nil
}
