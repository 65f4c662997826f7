package rtsptest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// Stream encodes a test picture with ffmpeg in real time and passes each RTP packet to
// send until ctx ends. The arguments are ffmpeg's source and encoder. It returns the
// SDP as soon as ffmpeg has written it; the camera's own SDP is unchanged.
func Stream(ctx context.Context, t testing.TB, send func(packet []byte), arguments ...string) (sdp string) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skipf("SKIPPED, no camera to test with: %v", err)
	}
	in, err := new(net.ListenConfig).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	description := filepath.Join(t.TempDir(), "sdp")
	encoder := exec.CommandContext(ctx, "ffmpeg", append(append([]string{"-v", "error", "-nostdin", "-re"}, arguments...),
		"-an", "-f", "rtp", "-sdp_file", description, fmt.Sprintf("rtp://%s?pkt_size=1200", in.LocalAddr()))...)
	var complaint bytes.Buffer
	encoder.Stderr = &complaint
	if err := encoder.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 65536)
		for {
			n, _, err := in.ReadFrom(buffer)
			if err != nil {
				return
			}
			send(bytes.Clone(buffer[:n]))
		}
	}()
	ctxDone := context.AfterFunc(ctx, func() { _ = in.Close() })
	t.Cleanup(func() {
		ctxDone()
		_ = encoder.Process.Kill()
		_ = encoder.Wait() // killed, and says so
		_ = in.Close()
		<-done
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(description); err == nil && len(text) > 50 {
			return cameraSDP(string(text))
		}
	}
	t.Fatalf("ffmpeg described nothing: %s", complaint.String())
	return ""
}

// cameraSDP turns ffmpeg's description into a camera's.
func cameraSDP(sdp string) string {
	var lines []string
	for line := range strings.Lines(sdp) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "SDP:") || strings.HasPrefix(line, "b=AS"):
		case strings.HasPrefix(line, "m=video"):
			fields := strings.Fields(line)
			fields[1] = "0"
			lines = append(lines, strings.Join(fields, " "), "a=control:video")
		default:
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// H264 returns Stream's arguments for the test picture through x264, with its size, its
// rate and the number of frames between key frames.
func H264(size, rate string, gop int) []string {
	distance := fmt.Sprint(gop)
	return []string{
		"-f", "lavfi", "-i", "testsrc2=size=" + size + ":rate=" + rate, "-pix_fmt", "yuv420p",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
		"-g", distance, "-keyint_min", distance, "-sc_threshold", "0", "-b:v", "600k",
	}
}
