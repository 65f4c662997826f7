package report

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"meltwatch/agent/message"
)

// Configuration publishes the status of a configuration, and an event for each step
// that affects the agent.
func (r *Reporter) Configuration(report message.ConfigReport) {
	text, err := json.Marshal(report)
	if err != nil {
		r.Log.Error("config/reported not encoded", "err", err)
		return
	}
	r.Output.Retain(message.TopicConfigReported, text)
	if report.Status == message.Rejected {
		return // nothing was touched, and a flood of them must not fill the outbox
	}
	causes := report.Errors
	if report.By != "" {
		causes = append(message.OneFault("", "by "+report.By), causes...)
	}
	r.configSteps.to(r, "config", report.From, fmt.Sprintf("%s %d", report.Status, report.Revision), causes)
}

// RollOut publishes the status of a roll-out, and an event for each step.
func (r *Reporter) RollOut(report message.ModelReport) {
	text, err := json.Marshal(report)
	if err != nil {
		r.Log.Error("model/reported not encoded", "err", err)
		return
	}
	r.Output.Retain(message.TopicModelReported, text)
	if report.Status == message.Rejected && report.Shadow == nil {
		return // nothing of it ran beside the live model; see Configuration
	}
	r.modelSteps.to(r, "model", "model", report.Status+" "+strconv.FormatInt(report.Revision, 10), report.Errors)
}

// steps publishes one event for each step of a change.
type steps struct{ last atomic.Pointer[string] }

func (s *steps) to(r *Reporter, kind, subject, now string, faults []message.Fault) {
	from := ""
	if before := s.last.Swap(&now); before != nil {
		from = *before
	}
	if from == now {
		return
	}
	causes := make([]string, len(faults))
	for i, f := range faults {
		causes[i] = strings.TrimPrefix(f.Key+": "+f.Message, ": ")
	}
	r.Event(kind, subject, from, now, strings.Join(causes, "; "))
}
