package metrics

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"meltwatch/agent/message"
)

// collector turns health and the newest state into metrics at each scrape. It describes
// none, because a part's counters are its own.
type collector struct{ source Source }

// The values of labels. A value outside them is shown as "other".
var (
	levels   = []string{"none", "suspected", "alarm"}
	states   = []string{"off", "warming", "normal", "abnormal", "unknown"}
	statuses = []string{"ok", "fault", "starting"}
	sensed   = []string{"ok", "stale", "frozen", "black", "absent", "invalid"}
	sources  = []string{"model", "rule", "none"}
)

// Describe makes the collector an unchecked one.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends every metric.
func (c collector) Collect(out chan<- prometheus.Metric) {
	e := emitter{out}
	e.gauge("meltwatch_build_info", "Version of the agent; the value is 1.", 1, label{"version", c.source.Version})
	c.parts(e)
	if s := c.source.State(); s != nil {
		c.state(e, s)
	}
	enter, exit := c.source.Thresholds()
	e.gauge("meltwatch_threshold_enter", "Mean p(abnormal) from which the furnace counts as abnormal.", enter)
	e.gauge("meltwatch_threshold_exit", "Mean p(abnormal) under which it no longer does.", exit)
}

// parts are health's statuses and counters.
func (c collector) parts(e emitter) {
	parts := c.source.Health()
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		p := parts[name]
		e.oneOf("meltwatch_part_status", "Status of a part of the agent: 1 for the one that it has.", statuses, p.Status, label{"part", name})
		e.gauge("meltwatch_part_status_since_seconds", "Unix time at which the status last changed.", float64(p.Since.UnixMilli())/1000, label{"part", name})
		for _, counter := range slices.Sorted(maps.Keys(p.Counters)) {
			value := float64(p.Counters[counter])
			// What goes down again is a gauge.
			if gauge(counter) {
				e.gauge("meltwatch_part_records", "Records that a part holds, by the name that health gives them.", value, label{"part", name}, label{"kind", counter})
			} else {
				e.counter("meltwatch_part_events_total", "What a part counts, by the name that health gives it.", value, label{"part", name}, label{"kind", counter})
			}
		}
	}
	stuck := c.source.Stuck()
	e.gauge("meltwatch_parts_stuck", "Parts whose loops do not come round.", float64(len(stuck)))
}

// gauge reports whether a counter of health goes down again.
func gauge(counter string) bool {
	for _, prefix := range []string{"waiting_", "bytes", "segments", "fresh", "unwritten", "oldest_"} {
		if strings.HasPrefix(counter, prefix) {
			return true
		}
	}
	return false
}

func (c collector) state(e emitter, s *message.State) {
	e.oneOf("meltwatch_furnace_state", "State of the furnace: 1 for the one that it is in.", states, s.State)
	e.gauge("meltwatch_furnace_state_since_seconds", "Unix time at which the furnace's state began.", float64(s.Since.UnixMilli())/1000)
	e.oneOf("meltwatch_alarm_level", "Level of alarm: 1 for the one that stands; suspected is an early warning.", levels, s.Level)
	e.gauge("meltwatch_alarm_held", "1 while an alarm goes on only because nothing can show that it is over.", number(s.Held))
	e.gauge("meltwatch_p_abnormal", "p(abnormal) of the newest second.", s.PAbnormal)
	e.gauge("meltwatch_p_abnormal_mean", "The mean of p(abnormal) that the thresholds apply to.", s.PMean)
	e.oneOf("meltwatch_verdict_source", "What the newest verdict came from: 1 for that.", sources, s.Source)
	e.gauge("meltwatch_state_seconds", "Unix time of the newest decided second.", float64(s.Time.UnixMilli())/1000)
	e.gauge("meltwatch_verdict_latency_seconds", "Time from the window's end to the newest state.", s.LatencyMS/1000)
	familiarity, mean, unfamiliar := valueOf(s.Familiarity), valueOf(s.FamiliarityMean), valueOf(s.Unfamiliar)
	for _, sense := range []struct {
		name, status string
		coverage     float64
		counted      bool
		familiarity  *float64
		mean         *float64
		unfamiliar   bool
	}{
		{"current", s.Senses.Current, s.Coverage.Current, s.Counted.Current, familiarity.Current, mean.Current, unfamiliar.Current},
		{"video", s.Senses.Video, s.Coverage.Video, s.Counted.Video, familiarity.Video, mean.Video, unfamiliar.Video},
	} {
		l := label{"sense", sense.name}
		e.oneOf("meltwatch_sense_status", "Status of a sense: 1 for the one that it has.", sensed, sense.status, l)
		e.gauge("meltwatch_window_coverage_ratio", "Share of the window's slots that hold a value.", sense.coverage, l)
		e.gauge("meltwatch_sense_counted", "1 if the newest verdict rests on the sense.", number(sense.counted), l)
		e.known("meltwatch_familiarity", "How much the sense is like what the model learnt, 0 to 1.", sense.familiarity, l)
		e.known("meltwatch_familiarity_mean", "The slow mean of that, which is compared with the model's level.", sense.mean, l)
		e.gauge("meltwatch_unfamiliar", "1 while the model is not made for the sense, by that mean.", number(sense.unfamiliar), l)
	}
	e.known("meltwatch_alignment", "Cosine between what the two senses say.", s.Alignment)
	e.known("meltwatch_clock_offset_seconds", "By how much the video is late against the current, as estimated.", s.ClockOffsetS)
	e.gauge("meltwatch_clock_confidence_ratio", "Probability that the pooled windows show the true clock offset.", s.ClockConfidence)
	e.gauge("meltwatch_clock_correction_seconds", "How much of the clock offset the window takes back.", s.ClockCorrectionS)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// valueOf is what a pointer points to, or the zero value.
func valueOf[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// label is one label of a metric and its value.
type label struct{ name, value string }

// emitter sends metrics.
type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) gauge(name, help string, value float64, labels ...label) {
	e.send(prometheus.GaugeValue, name, help, value, labels)
}

// known sends a gauge if its value is known.
func (e emitter) known(name, help string, value *float64, labels ...label) {
	if value != nil {
		e.gauge(name, help, *value, labels...)
	}
}

func (e emitter) counter(name, help string, value float64, labels ...label) {
	e.send(prometheus.CounterValue, name, help, value, labels)
}

// oneOf sends a gauge for each value that a label may have, 1 for the one that holds.
func (e emitter) oneOf(name, help string, values []string, holds string, labels ...label) {
	if !slices.Contains(values, holds) {
		holds = "other"
	}
	for _, value := range append(slices.Clone(values), "other") {
		e.gauge(name, help, number(value == holds), append(slices.Clone(labels), label{"status", value})...)
	}
}

func (e emitter) send(kind prometheus.ValueType, name, help string, value float64, labels []label) {
	names, values := make([]string, len(labels)), make([]string, len(labels))
	for i, l := range labels {
		names[i], values[i] = l.name, strings.ToValidUTF8(l.value, "")
	}
	e.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
}
