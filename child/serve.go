package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"strconv"
)

// firstExtraFD is where os/exec puts the first of ExtraFiles.
const firstExtraFD = 3

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

// Hello is a child's answer to the handshake.
type Hello struct {
	Service string
	Version int
}

// control is the service "Child", which every child offers.
type control struct{ hello Hello }

// Hello answers the handshake.
func (l *control) Hello(_ struct{}, reply *Hello) error {
	*reply = l.hello
	return nil
}

// Ping answers the heartbeat: the process runs, whatever its calls do.
func (l *control) Ping(struct{}, *struct{}) error { return nil }

// Serve runs the service on the socket inherited from the parent until the
// parent closes it or dies, or ctx ends. It returns nil in all three cases.
func Serve(ctx context.Context, s Service) error {
	conn, err := inheritedConn()
	if err != nil {
		return err
	}
	return serve(ctx, conn, s)
}

func serve(ctx context.Context, conn net.Conn, s Service) error {
	server := rpc.NewServer()
	if err := server.RegisterName("Child", &control{Hello{s.Name, s.Version}}); err != nil {
		return fmt.Errorf("register control service: %w", err)
	}
	if err := server.RegisterName(s.Name, s.Receiver); err != nil {
		return fmt.Errorf("register %s: %w", s.Name, err)
	}
	codec := newServerCodec(conn)
	go server.ServeCodec(codec)
	// ServeCodec itself would wait for running calls, and a call blocked in a C library
	// may never end.
	select {
	case <-codec.ended:
	case <-ctx.Done():
	}
	conn.Close()
	return nil
}

func inheritedConn() (net.Conn, error) {
	number, err := strconv.Atoi(os.Getenv(fdVariable))
	if err != nil {
		return nil, errors.New("this program is started by meltwatch, not by hand: " + fdVariable + " is not set")
	}
	file := os.NewFile(uintptr(number), "parent")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("open inherited socket %d: %w", number, err)
	}
	return conn, nil
}
