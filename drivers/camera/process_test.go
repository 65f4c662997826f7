package camera

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"meltwatch/child"
	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/rtsptest"
)

// The test binary is its own camera child.
const role = "MELTWATCH_TEST_CAMERA_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "greedy":
		greedy()
	default:
		if err := Serve(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// The agent's whole way to a frame: start the program, configure it, ask.
func TestProcess(t *testing.T) {
	source := rtsptest.Start(t, "melt", "secret word")
	p, err := child.Start(t.Context(), child.Spec{
		Service: "Camera", Version: drivers.CameraVersion,
		Program: os.Args[0], Env: []string{role + "=1"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s := settings(source.URL())
	s.Username, s.Password = "melt", "secret word"
	if _, err := child.Call[struct{}](t.Context(), p, "Camera.Configure", s); err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	for {
		reply, err := child.Call[drivers.LatestReply](t.Context(), p, "Camera.Latest", drivers.LatestRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if reply.Status == drivers.OK && len(reply.Pixels) == 3*s.Width*s.Height {
			t.Logf("first frame after %v", time.Since(asked))
			return
		}
		if time.Since(asked) > 20*time.Second {
			t.Fatalf("%s (%s) after 20 s", reply.Status, reply.Cause)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
