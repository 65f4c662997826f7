package modbus

import (
	wire "github.com/goburrow/modbus"

	"meltwatch/config"
)

// read is a request together with the finer ones that can replace it. Many devices do
// not accept every read: they refuse undefined registers by exception 2 or 3, do not
// answer, or send an invalid answer. The driver learns which reads a device accepts
// while it polls: a read that fails while its parts are answered is no longer made
// until the configuration changes or the agent restarts.
type read struct {
	Request
	parts []*read // finer reads of the same fields; none where it cannot be divided
	apart bool    // the parts are read instead

	failed   int // polls in a row
	steady   int // good polls in a row
	relapses int // times that it failed right after it had worked
	doubts   int // times that it failed where its parts were answered
	worked   bool
	// wait keeps an optional read that fails from costing each poll a timeout; last is
	// why it failed.
	wait backoff
	last error
}

// newPlan is the tree of a meter's reads. Its root is not a request itself.
func newPlan(m config.Meter) *read {
	root := &read{apart: true}
	for _, r := range planOf(m) {
		root.parts = append(root.parts, newRead(r, limitsOf(m).most))
	}
	root.currentsFirst()
	return root
}

func newRead(r Request, most int) *read {
	n := &read{Request: r}
	for _, part := range r.divide(most) {
		n.parts = append(n.parts, newRead(part, most))
	}
	n.currentsFirst()
	return n
}

// currentsFirst orders the parts so that optional reads cannot delay required ones.
func (n *read) currentsFirst() {
	var phases, others []*read
	for _, part := range n.parts {
		if part.carriesCurrent() {
			phases = append(phases, part)
		} else {
			others = append(others, part)
		}
	}
	n.parts = append(phases, others...)
}

// needed are the parts that carry currents, or all where none does.
func (n *read) needed() []*read {
	phases := 0
	for phases < len(n.parts) && n.parts[phases].carriesCurrent() {
		phases++
	}
	if phases == 0 {
		return n.parts
	}
	return n.parts[:phases]
}

// leaves are the requests that a poll makes now.
func (n *read) leaves() []Request {
	if !n.apart {
		return []Request{n.Request}
	}
	var all []Request
	for _, part := range n.parts {
		all = append(all, part.leaves()...)
	}
	return all
}

const (
	// confirmed is how often a read must fail and its parts be answered, in one
	// poll, before it is given up: once may be an outage that ended in between. A
	// refusal of these registers is plain at once.
	confirmed = 2
	// firstTries is how many of a read's first failures are looked into by its parts,
	// and laterTries every how many after that: a device that is not there must not
	// cost several timeouts each poll.
	firstTries, laterTries = 2, 20
	// flapping is how many relapses within calm good polls make an intermittent read
	// suspect: its answer may corrupt the next one.
	flapping, calm = 4, 20
)

func (n *read) succeeded() {
	n.worked, n.failed = true, 0
	n.steady++
	if n.steady >= calm {
		n.relapses, n.doubts = 0, 0
	}
}

func (n *read) fails() {
	if n.failed == 0 && n.worked {
		n.relapses++
	}
	n.failed++
	n.steady = 0
}

// suspect reports whether to try the parts after this failure.
func (n *read) suspect(err error) bool {
	if len(n.parts) == 0 {
		return false
	}
	if code, ok := refused(err); ok && !passing(code) {
		return !n.worked || n.failed >= 3
	}
	return !n.worked && n.failed <= firstTries || n.failed%laterTries == 0 || n.doubts > 0 || n.relapses >= flapping
}

// answeredInParts notes that the parts were answered though the whole was not, and
// reports whether that settles it.
func (n *read) answeredInParts(err error) bool {
	n.doubts++
	code, _ := refused(err)
	n.apart = n.doubts >= confirmed || code == wire.ExceptionCodeIllegalDataAddress || code == wire.ExceptionCodeIllegalDataValue
	return n.apart
}

// passing reports whether a refusal is temporary and not about the registers: the
// device is busy, or a gateway did not reach it.
func passing(code byte) bool {
	switch code {
	case wire.ExceptionCodeAcknowledge, wire.ExceptionCodeServerDeviceBusy,
		wire.ExceptionCodeGatewayPathUnavailable, wire.ExceptionCodeGatewayTargetDeviceFailedToRespond:
		return true
	default:
		return false
	}
}
