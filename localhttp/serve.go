package localhttp

import (
	"context"
	"net"
	"net/http"
	"time"

	"meltwatch/tick"
)

const (
	beat = 5 * time.Second
	// shutdown is how long running requests may take at the end.
	shutdown = time.Second
)

// Serve serves on a listener until ctx ends, and calls alive every five seconds. It
// returns ctx's error, or why the server has ended by itself.
func Serve(ctx context.Context, listener net.Listener, server *http.Server, alive func()) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	round := tick.New(beat)
	defer round.Stop()
	for {
		alive()
		select {
		case <-round.C:
			round.Next()
		case err := <-ended:
			return err
		case <-ctx.Done():
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
			defer cancel()
			if server.Shutdown(closing) != nil {
				_ = server.Close() // what still runs is cut off
			}
			<-ended //nolint:errcheck // it ended on request
			return ctx.Err()
		}
	}
}
