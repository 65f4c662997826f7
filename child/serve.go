package child

import (
	"context"
	"errors"
)

// Service is what a child process offers to its parent: the exported methods of
// Receiver, as net/rpc defines them (func(args T, reply *R) error), under Name.
type Service struct {
	// Name prefixes every method: "Camera", "Model".
	Name string
	// Version of the contract. The parent refuses a child of another version.
	Version int
	// Receiver's methods may be called concurrently.
	Receiver any
}

// Serve runs the service on the socket inherited from the parent until the
// parent closes it or dies, or ctx ends. It returns nil in all three cases.
func Serve(ctx context.Context, s Service) error {
	return errors.New("not built yet")
}
