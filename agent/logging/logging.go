// Package logging builds the agent's log: text or JSON lines, with the priorities of
// systemd's journal where standard error is connected to it (sd-daemon(3)).
package logging

import (
	"context"
	"io"
	"log/slog"
)

// Options configure a log.
type Options struct {
	// Format is text or json.
	Format string
	// Level is the lowest level that is logged.
	Level slog.Leveler
	// Journal begins each line with its priority, such as <3> for an error, and leaves
	// the time out, which the journal adds itself.
	Journal bool
}

// New returns a log to w.
func New(w io.Writer, o Options) *slog.Logger {
	if !o.Journal {
		return slog.New(lines(w, o))
	}
	h := journal{}
	for i, p := range priorities {
		h[i] = lines(prefixed{w, p.prefix}, o)
	}
	return slog.New(h)
}

// Lower returns a level that is the lower one of two, each as it is when asked.
func Lower(a, b slog.Leveler) slog.Leveler { return lower{a, b} }

type lower struct{ a, b slog.Leveler }

func (l lower) Level() slog.Level { return min(l.a.Level(), l.b.Level()) }

func lines(w io.Writer, o Options) slog.Handler {
	options := &slog.HandlerOptions{Level: o.Level}
	if o.Journal {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
				return slog.Attr{}
			}
			return a
		}
	}
	if o.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// priorities are the journal's, from the highest level down.
var priorities = [...]struct {
	from   slog.Level
	prefix string
}{
	{slog.LevelError, "<3>"},
	{slog.LevelWarn, "<4>"},
	{slog.LevelInfo, "<6>"},
	{slog.LevelDebug, "<7>"},
}

// journal has a handler for each priority, because a handler's output does not tell the
// level of its record.
type journal [len(priorities)]slog.Handler

func (j journal) of(level slog.Level) slog.Handler {
	for i, p := range priorities {
		if level >= p.from {
			return j[i]
		}
	}
	return j[len(j)-1]
}

// Enabled implements slog.Handler.
func (j journal) Enabled(ctx context.Context, level slog.Level) bool {
	return j.of(level).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (j journal) Handle(ctx context.Context, r slog.Record) error {
	return j.of(r.Level).Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (j journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i := range j {
		j[i] = j[i].WithAttrs(attrs)
	}
	return j
}

// WithGroup implements slog.Handler.
func (j journal) WithGroup(name string) slog.Handler {
	for i := range j {
		j[i] = j[i].WithGroup(name)
	}
	return j
}

// prefixed writes each line with a prefix, in one call: slog's handlers write a record
// at once, so lines of several handlers are not mixed.
type prefixed struct {
	w      io.Writer
	prefix string
}

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
