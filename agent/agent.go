// Package agent watches one furnace: it builds every part from its section of the
// configuration, runs them, replaces those whose section changes, and publishes what
// they find. docs/architecture.md draws it.
package agent

import (
	"context"
	"io"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/outbox"
	"meltwatch/agent/remote"
	"meltwatch/agent/report"
	"meltwatch/agent/stamp"
	"meltwatch/agent/supervisor"
	"meltwatch/config"
)

// How long a part's loop may take to come round before the watchdog counts it
// as stuck. Each is well above the longest bounded wait inside.
const (
	meterLimit  = 45 * time.Second
	cameraLimit = 45 * time.Second // a child's start is given up after 15 s, restarts wait up to 8 s
	modelLimit  = 45 * time.Second
	decideLimit = 10 * time.Second
	mqttLimit   = 45 * time.Second
	// A port that another program uses is no reason to restart the watch.
	metricsLimit = time.Duration(math.MaxInt64)
	// A disk may hang indefinitely, and no restart would cure it: the watch goes on
	// from memory meanwhile, and the outbox never counts as stuck.
	outboxLimit = time.Duration(math.MaxInt64)
)

// Agent is the watch of one furnace.
type Agent struct {
	env      Env
	config   atomic.Pointer[config.Config] // what runs; its manager changes it
	registry *health.Registry
	stamper  *stamp.Stamper
	programs string

	video    *videoSwitch
	live     atomic.Pointer[modelInstance] // the model that decides
	second   atomic.Pointer[modelInstance] // one that was loaded beside it, or nil
	loop     *decide.Loop
	decided  atomic.Int64 // the end of the last decided second, Unix nanoseconds
	out      *delivery.Switch
	reporter *report.Reporter
	manager  *remote.Manager // of the configuration; nil without one

	outbox *outbox.Log // nil where records wait in memory
	// outboxLock is held for as long as the outbox is open.
	outboxLock io.Closer
	// opened is the outbox in use, openedBy what of the configuration it was opened by.
	opened   delivery.Outbox
	openedBy any

	// changing is held while instances end and begin.
	changing sync.Mutex
	running  *supervisor.Group
	parts    []*part
	services []service
}

// service is something that runs for as long as the agent does.
type service struct {
	name string
	run  func(context.Context) error
}

// log is the log of one part.
func (a *Agent) log(part string) *slog.Logger { return a.env.Log.With("part", part) }
