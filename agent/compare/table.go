package compare

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"meltwatch/agent/recorder"
)

// Table prints a comparison for a person.
func Table(out io.Writer, c *Comparison) error {
	p := &printer{tabs: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	p.line("labelled stretch\tclass\tin force: %s\tcandidate: %s", c.InForce.title(), c.Candidate.title())
	for _, s := range c.Stretches {
		p.line("%s  %s\t%s\t%s\t%s", s.From.UTC().Format(time.RFC3339), s.To.Sub(s.From).Round(time.Second), s.Class, s.text(s.InForce), s.text(s.Candidate))
	}
	if c.StretchesLeftOut > 0 {
		p.line("and %d older ones", c.StretchesLeftOut)
	}
	a, b := c.InForceSum, c.CandidateSum
	p.line("abnormal stretches found\t\t%d of %d\t%d of %d", a.Found, a.Found+a.Missed, b.Found, b.Found+b.Missed)
	p.line("delay from onset, median and longest\t\t%s, %s\t%s, %s", inSeconds(a.DelayMedianS), inSeconds(a.DelayMaxS), inSeconds(b.DelayMedianS), inSeconds(b.DelayMaxS))
	p.line("false alarms in %.1f normal hours\t\t%d (%s)\t%d (%s)", a.NormalHours, a.FalseAlarms, perHour(a), b.FalseAlarms, perHour(b))
	p.line("seconds right\t\t%s\t%s", share(a), share(b))
	if c.Unrecorded > 0 {
		p.line("labelled stretches that are not recorded, or too short to compare\t\t%d\t", c.Unrecorded)
	}
	if p.err == nil {
		p.err = p.tabs.Flush()
	}
	p.tabs = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, d := range c.Differences {
		right := "in force"
		if d.CandidateRight {
			right = "candidate"
		}
		p.line("differ from %s\tfor %s\t(%s): right is\t%s", d.From.UTC().Format(time.RFC3339), d.To.Sub(d.From).Round(time.Second), d.Class, right)
	}
	if c.DifferencesLeftOut > 0 {
		p.line("and in %d more seconds", c.DifferencesLeftOut)
	}
	if p.err == nil {
		p.err = p.tabs.Flush()
	}
	return p.err
}

type printer struct {
	tabs *tabwriter.Writer
	err  error // the first
}

func (p *printer) line(format string, values ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.tabs, format+"\n", values...)
	}
}

func (m Model) title() string {
	const digits = 8
	return fmt.Sprintf("%s %s (%.*s)", m.Name, m.Version, digits, m.SHA256)
}

func (s Stretch) text(of Score) string {
	switch {
	case s.Seconds == 0:
		return "not compared"
	case s.Class == recorder.ClassNormal:
		return fmt.Sprintf("%d false alarms, %d of %d s right", of.FalseAlarms, of.Right, s.Seconds)
	case of.Found && of.DelayS == nil: // its onset was not compared
		return fmt.Sprintf("found, %d of %d s right", of.Right, s.Seconds)
	case of.Found:
		return fmt.Sprintf("found after %s, %d of %d s right", inSeconds(of.DelayS), of.Right, s.Seconds)
	default:
		return fmt.Sprintf("missed, %d of %d s right", of.Right, s.Seconds)
	}
}

func inSeconds(s *float64) string {
	if s == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f s", *s)
}

func perHour(s Sum) string {
	if s.FalseAlarmsPerHour == nil {
		return "no normal stretch"
	}
	return fmt.Sprintf("%.2f an hour", *s.FalseAlarmsPerHour)
}

func share(s Sum) string {
	if s.Seconds == 0 {
		return "–"
	}
	const hundred = 100
	return fmt.Sprintf("%.2f %% of %d", hundred*float64(s.Right)/float64(s.Seconds), s.Seconds)
}
