package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parsed is the serve command as a command line gives it.
func parsed(t *testing.T, arguments ...string) (serveCommand, error) {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, variables())
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"serve", "--modbus", "127.0.0.1:0", "--rtsp", "127.0.0.1:0", "--no-camera"}, arguments...))
	return c.Serve, err
}

func TestServeRefusesWhatCannotWorkAndNamesTheFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		fact, want string
		arguments  []string
	}{
		{"control on 0.0.0.0", "--control-open", []string{"--control", "0.0.0.0:0"}},
		{"side channel on all addresses", "--control-open", []string{"--control", ":8555"}},
		{"side channel without port", "--control", []string{"--control", "127.0.0.1"}},
		{"word order", "--word-order", []string{"--word-order", "AABB"}},
		{"meter fault", "--meter-fault", []string{"--meter-fault", "odd"}},
		{"delay", "video delay", []string{"--video-delay", "1m"}},
		{"port in use", "--modbus", []string{"--modbus", taken.Addr().String()}},
		{"no such scenario", "--scenario", []string{"--scenario", "/nowhere.yaml"}},
	} {
		command, err := parsed(t, c.arguments...)
		if err == nil {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // should it be accepted, it ends at once
			err = command.Run(ctx, io.Discard)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not name %s", c.fact, err, c.want)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	for _, extra := range [][]string{nil, {"--control", "127.0.0.1:0"}, {"--control", "[::]:0", "--control-open"}} {
		command, err := parsed(t, extra...)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- command.Run(ctx, io.Discard) }()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v: %v", extra, err)
		}
	}
}
