package modbus

import (
	wire "github.com/goburrow/modbus"

	"meltwatch/config"
)

// readNode is a request with the smaller ones that can replace it. Many devices do
// not accept every read: they refuse undefined registers by exception 2 or 3, do not
// answer, or send an invalid answer. The driver learns which reads a device accepts
// while it polls: once a read has failed while its parts were answered, its parts
// replace it until the configuration changes or the agent restarts.
type readNode struct {
	request
	parts   []*readNode // smaller reads of the same fields; empty if it cannot be divided
	divided bool        // the parts replace the read

	failed        int // polls in a row
	steady        int // good polls in a row
	intermittent  int // failures right after a success
	partSuccesses int // failures in which the parts were answered
	succeededOnce bool
	// wait delays a failing optional read, which would cost each poll a timeout; last
	// is its error.
	wait backoff
	last error
}

// newPlan is the tree of a meter's reads. Its root is not a request itself.
func newPlan(m config.Meter) *readNode {
	root := &readNode{divided: true}
	for _, r := range planOf(m) {
		root.parts = append(root.parts, newReadNode(r, m.ReadMax))
	}
	root.currentsFirst()
	return root
}

func newReadNode(r request, most int) *readNode {
	n := &readNode{request: r}
	for _, part := range r.divide(most) {
		n.parts = append(n.parts, newReadNode(part, most))
	}
	n.currentsFirst()
	return n
}

// currentsFirst orders the parts so that optional reads cannot delay required ones.
func (n *readNode) currentsFirst() {
	var phases, others []*readNode
	for _, part := range n.parts {
		if part.carriesCurrent() {
			phases = append(phases, part)
		} else {
			others = append(others, part)
		}
	}
	n.parts = append(phases, others...)
}

// required are the parts that carry currents, or all if none does.
func (n *readNode) required() []*readNode {
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
func (n *readNode) leaves() []request {
	if !n.divided {
		return []request{n.request}
	}
	var all []request
	for _, part := range n.parts {
		all = append(all, part.leaves()...)
	}
	return all
}

const (
	// dividingFailures is how many polls must fail while the parts are answered before
	// the read is divided: one may be an outage that ended in between. An exception
	// about the registers settles it at once.
	dividingFailures = 2
	// The parts are tried after each of the first firstTries failures, and then after each
	// retryEvery of them: an absent device must not cost several timeouts each poll.
	firstTries, retryEvery = 2, 20
	// intermittentLimit relapses within stablePolls good polls make a read a candidate for
	// division: its answer may corrupt the next one.
	intermittentLimit, stablePolls = 4, 20
)

func (n *readNode) recordSuccess() {
	n.succeededOnce, n.failed = true, 0
	n.steady++
	if n.steady >= stablePolls {
		n.intermittent, n.partSuccesses = 0, 0
	}
}

func (n *readNode) recordFailure() {
	if n.failed == 0 && n.succeededOnce {
		n.intermittent++
	}
	n.failed++
	n.steady = 0
}

// shouldTryParts reports whether this failure warrants reading the parts.
func (n *readNode) shouldTryParts(err error) bool {
	if len(n.parts) == 0 {
		return false
	}
	if code, ok := exceptionCode(err); ok && !transient(code) {
		return !n.succeededOnce || n.failed >= 3
	}
	return !n.succeededOnce && n.failed <= firstTries || n.failed%retryEvery == 0 || n.partSuccesses > 0 || n.intermittent >= intermittentLimit
}

// recordPartSuccess notes that the parts were answered though the whole was not, and
// reports whether that settles it.
func (n *readNode) recordPartSuccess(err error) bool {
	n.partSuccesses++
	code, _ := exceptionCode(err)
	n.divided = n.partSuccesses >= dividingFailures || code == wire.ExceptionCodeIllegalDataAddress || code == wire.ExceptionCodeIllegalDataValue
	return n.divided
}

// transient reports whether an exception is temporary and not about the registers: the
// device is busy, or a gateway did not reach it.
func transient(code byte) bool {
	switch code {
	case wire.ExceptionCodeAcknowledge, wire.ExceptionCodeServerDeviceBusy,
		wire.ExceptionCodeGatewayPathUnavailable, wire.ExceptionCodeGatewayTargetDeviceFailedToRespond:
		return true
	default:
		return false
	}
}
