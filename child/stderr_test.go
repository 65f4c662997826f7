package child

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A child's line is logged at the level that the line itself states.
func TestChildLinesKeepTheirLevel(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`time=2026-01-02T03:04:05.000Z level=ERROR msg="load model" err="no such file"`, "ERROR"},
		{`time=2026-01-02T03:04:05.000Z level=WARN msg="slow call"`, "WARN"},
		{`time=2026-01-02T03:04:05.000Z level=INFO msg="model loaded" note="level=ERROR"`, "INFO"},
		{`time=2026-01-02T03:04:05.000Z level=DEBUG msg=step`, "DEBUG"},
		{"2026-01-02 03:04:05.000000: E tensorflow/core/framework/op.cc:42] unknown operation", "ERROR"},
		{"2026-01-02 03:04:05.000000: F tensorflow/core/platform/env.cc:42] out of memory", "ERROR"},
		{"2026-01-02 03:04:05.000000: W tensorflow/core/framework/op.cc:42] deprecated", "WARN"},
		{"2026-01-02 03:04:05.000000: I tensorflow/cc/saved_model/reader.cc:83] reading", "DEBUG"},
		{"To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the appropriate compiler flags.", "DEBUG"},
		{"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR", "DEBUG"},
		{"I0000 00:00:1700000000.123456    4711 mlir_graph_optimization_pass.cc:401] MLIR V1 optimization pass is not enabled", "DEBUG"},
		{"W0000 00:00:1700000000.123456    4711 gpu_device.cc:2344] Cannot dlopen some GPU libraries", "WARN"},
		{"E0000 00:00:1700000000.123456    4711 cuda_dnn.cc:8310] unable to register", "ERROR"},
		{"[ERROR:0@0.013] global cap.cpp:164 open VIDEOIO(FFMPEG)", "ERROR"},
		{"[ WARN:0@0.013] global cap.cpp:164 open VIDEOIO(FFMPEG)", "WARN"},
		{"panic: runtime error: index out of range", "ERROR"},
		{"fatal error: out of memory", "ERROR"},
		{"meltwatch-camera: the video decoder is blocked", "ERROR"},
		{"goroutine 1 [running]:", "INFO"},
		{"an error while decoding", "INFO"},
	} {
		var log bytes.Buffer
		handler := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})
		if last := forward(strings.NewReader(c.line+"\n"), slog.New(handler), 1); last != c.line {
			t.Errorf("last line %q, want %q", last, c.line)
		}
		if _, after, _ := strings.Cut(log.String(), " level="); !strings.HasPrefix(after, c.want+" ") {
			t.Errorf("%s: logged as %.8s, want %s", c.line, after, c.want)
		}
	}
}
