package modbus

import (
	wire "github.com/goburrow/modbus"

	"meltwatch/config"
)

// readNode is a request together with the finer ones that can replace it. Many devices do
// not accept every read: they refuse undefined registers by exception 2 or 3, do not
// answer, or send an invalid answer. The driver learns which reads a device accepts
// while it polls: a read that fails while its parts are answered is no longer made
// until the configuration changes or the agent restarts.
type readNode struct {
	request
	parts   []*readNode // finer reads of the same fields; none where it cannot be divided
	divided bool        // the parts are read instead

	failed        int // polls in a row
	steady        int // good polls in a row
	intermittent  int // times that it failed right after it had worked
	partSuccesses int // times that it failed where its parts were answered
	succeededOnce bool
	// wait keeps an optional read that fails from costing each poll a timeout; last is
	// why it failed.
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

// required are the parts that carry currents, or all where none does.
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
	// dividingFailures is how often a read must fail and its parts be answered, in one
	// poll, before it is given up: once may be an outage that ended in between. A
	// refusal of these registers is plain at once.
	dividingFailures = 2
	// firstTries is how many of a read's first failures are looked into by its parts,
	// and laterTries every how many after that: a device that is not there must not
	// cost several timeouts each poll.
	firstTries, retryEvery = 2, 20
	// intermittentLimit is how many relapses within calm good polls make an intermittent read
	// suspect: its answer may corrupt the next one.
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

// shouldTryParts reports whether to try the parts after this failure.
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

// transient reports whether a refusal is temporary and not about the registers: the
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
