package camera

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gocv.io/x/gocv"

	"meltwatch/child"
	"meltwatch/drivers"
	"meltwatch/drivers/rtsp/rtsptest"
)

// huge is the parameter set of a picture of 16384×8704 pixels.
const huge = "Z0IAKNoAEAABEGQ="

// startChild starts the program as the agent does, and has it open the URL.
func startChild(t *testing.T, url string) *child.Process {
	t.Helper()
	p, err := child.Start(t.Context(), child.Spec{
		Service: "Camera", Version: drivers.CameraVersion,
		Program: os.Args[0], Env: []string{role + "=1"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if _, err := child.Call[struct{}](t.Context(), p, "Camera.Configure", settings(url)); err != nil {
		t.Fatal(err)
	}
	return p
}

// peak is the most memory that the process ever held, in MiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes / 1024
}

func pours(head, body string) func(net.Conn) bool {
	return func(conn net.Conn) bool {
		for {
			request := make([]byte, 4096)
			n, err := conn.Read(request)
			if err != nil {
				return true
			}
			_, rest, _ := strings.Cut(string(request[:n]), "CSeq: ")
			number, _, _ := strings.Cut(rest, "\r\n")
			if strings.HasPrefix(string(request), "OPTIONS") {
				_, err = io.WriteString(conn, "RTSP/1.0 200 OK\r\nCSeq: "+number+"\r\nPublic: DESCRIBE\r\n\r\n")
			} else {
				_, err = io.WriteString(conn, "RTSP/1.0 200 OK\r\nCSeq: "+number+"\r\n"+head)
				for err == nil {
					_, err = io.WriteString(conn, body)
				}
			}
			if err != nil {
				return true
			}
		}
	}
}

// A camera that never stops sending, or sends a huge picture, costs little memory, is
// named, and the child lives on.
func TestCamerasThatSendTooMuch(t *testing.T) {
	const describes = "Content-Type: application/sdp\r\nContent-Length: "
	for _, c := range []struct {
		name   string
		camera *rtsptest.Scripted
		want   string
	}{
		{"endless description", &rtsptest.Scripted{OnConnect: pours(describes+"99999999999\r\n\r\nv=0\r\n", strings.Repeat("a=x:yyyyyyyyyyyy\r\n", 4096))}, "longer than 128 KiB"},
		{"endless headers", &rtsptest.Scripted{OnConnect: pours("", strings.Repeat("X-Header: yyyyyyyyyyyyyy\r\n", 4096))}, "the camera"},
		{"a picture of 16384×8704", &rtsptest.Scripted{SDP: "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=control:video\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; sprop-parameter-sets=" + huge + ",aM4xsg==\r\n"},
			"16384×8704 pixels is larger than 4096×2304"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.camera.Serve(t)
			p := startChild(t, c.camera.URL())
			for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
				reply, err := child.Call[drivers.LatestReply](t.Context(), p, "Camera.Latest", drivers.LatestRequest{})
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(reply.Cause, c.want) {
					break
				}
				if time.Since(start) > 15*time.Second {
					t.Fatalf("%s (%s), want %s", reply.Status, reply.Cause, c.want)
				}
			}
			time.Sleep(2 * time.Second) // it is opened again meanwhile
			if p.Err() != nil {
				t.Errorf("the child ended: %v", p.Err())
			}
			if held := peak(t, p.PID()); held > 200 {
				t.Errorf("held %d MiB", held)
			} else {
				t.Logf("held %d MiB at most", held)
			}
		})
	}
}

// greedy takes memory as a sick decoder would, until it may not.
func greedy() {
	if err := limitMemory(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	var all []gocv.Mat
	for range 64 {
		m := gocv.NewMatWithSizeFromScalar(gocv.NewScalar(1, 2, 3, 4), 4096, 8192, gocv.MatTypeCV8UC3)
		all = append(all, m)
		var usage syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
		fmt.Println(usage.Maxrss >> 10)
	}
	fmt.Println("unbounded", len(all))
}

// The bound is the child's own: past it the child ends, and nobody else.
func TestMemoryBoundEndsTheChildAlone(t *testing.T) {
	run := exec.CommandContext(t.Context(), os.Args[0])
	run.Env = append(os.Environ(), role+"=greedy")
	printed, err := run.Output()
	if err == nil || strings.Contains(string(printed), "unbounded") {
		t.Fatalf("ended by %v after %s", err, printed)
	}
	lines := strings.Fields(string(printed))
	held, convErr := strconv.Atoi(lines[len(lines)-1])
	if convErr != nil || held < 100 || held > memoryLimit>>20 {
		t.Errorf("held %d MiB before it ended, the bound is %d", held, memoryLimit>>20)
	}
	t.Logf("ended at %d MiB: %v", held, err)
}
