package child

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

const (
	// maxLine bounds a line of the child's standard error in the log, in bytes; the
	// rest of a longer line is dropped.
	maxLine = 4096
	// maxLast limits how much of its last line is reported as the cause of its end.
	maxLast = 300
)

// forward logs a child's standard error until it is closed, and returns the last
// line, which is the loader's message if a library is missing.
func forward(stderr io.Reader, log *slog.Logger, pid int) (last string) {
	lines := bufio.NewReaderSize(stderr, maxLine)
	for {
		line, more, err := lines.ReadLine()
		if len(line) > 0 {
			log.Log(context.Background(), levelOf(string(line)), "child wrote to stderr", "pid", pid, "line", string(line))
			last = strings.ToValidUTF8(string(line[:min(len(line), maxLast)]), "")
		}
		for more && err == nil {
			_, more, err = lines.ReadLine()
		}
		if err != nil {
			return last // end of file: the child has closed its standard error
		}
	}
}

// severities find the level that a line states in the form of slog, TensorFlow, OpenCV,
// Go's runtime, or a command that ends with an error.
var severities = []struct {
	level slog.Level
	form  *regexp.Regexp
}{
	{slog.LevelError, regexp.MustCompile(`^time=\S+ level=ERROR|^\S+ \S+: [EF] \S+:\d+\]|^[EF]\d{4} [0-9:.]+ +\d+ \S+:\d+\]|^\[ *(ERROR|FATAL):|^(panic|fatal error): |^meltwatch-[a-z]+: `)},
	{slog.LevelWarn, regexp.MustCompile(`^time=\S+ level=WARN|^\S+ \S+: W \S+:\d+\]|^W\d{4} [0-9:.]+ +\d+ \S+:\d+\]|^\[ *WARN:`)},
	// TensorFlow announces what it does; the child itself tells what matters.
	{slog.LevelDebug, regexp.MustCompile(`^time=\S+ level=DEBUG|^\[ *(DEBUG|VERB):|^\S+ \S+: I \S+:\d+\]|^I\d{4} [0-9:.]+ +\d+ \S+:\d+\]|^To enable the following instructions: |^WARNING: All log messages before absl::`)},
}

// levelOf is the level that a line states; Info if it states none.
func levelOf(line string) slog.Level {
	for _, s := range severities {
		if s.form.MatchString(line) {
			return s.level
		}
	}
	return slog.LevelInfo
}
