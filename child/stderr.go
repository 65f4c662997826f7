package child

import (
	"bufio"
	"io"
	"log/slog"
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
			log.Info("child says", "pid", pid, "line", string(line))
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
