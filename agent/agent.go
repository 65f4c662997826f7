// Package agent watches one furnace. It builds every part from its section of the
// configuration, runs the parts, replaces those whose section changes, and publishes
// their results. docs/architecture.md has a drawing.
package agent

import (
	"context"
	"io"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"meltwatch/agent/alarm"
	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/agent/outbox"
	"meltwatch/agent/recorder"
	"meltwatch/agent/remote"
	"meltwatch/agent/report"
	"meltwatch/agent/stamp"
	"meltwatch/agent/supervisor"
	"meltwatch/agent/web"
	"meltwatch/config"
)

// The time within which a part's loop must iterate, or the watchdog counts it as stuck.
// Each is well above the longest bounded wait in the loop.
const (
	meterLimit  = 45 * time.Second
	cameraLimit = 45 * time.Second // a child's start may take 15 s, the wait before a restart 8 s
	modelLimit  = 45 * time.Second
	decideLimit = 10 * time.Second
	mqttLimit   = 45 * time.Second
	// The watch must not restart because another program uses the port.
	metricsLimit = time.Duration(math.MaxInt64)
	// A disk may hang indefinitely, and a restart would not cure it. The agent goes on
	// with records in memory, so the outbox never counts as stuck.
	outboxLimit = time.Duration(math.MaxInt64)
	// The same holds for the disk of the recorder.
	recorderLimit = outboxLimit
	webLimit      = metricsLimit
)

// Agent watches one furnace.
type Agent struct {
	env      Env
	config   atomic.Pointer[config.Config] // the running configuration; the manager changes it
	registry *health.Registry
	stamper  *stamp.Stamper
	programs string

	video     *videoSwitch
	live      atomic.Pointer[modelInstance] // the model that decides
	second    atomic.Pointer[modelInstance] // a candidate that is loaded too, or nil
	loop      *decide.Loop
	decided   atomic.Int64 // the end of the last decided second, Unix nanoseconds
	out       *delivery.Switch
	page      web.Live                          // the last minutes, for the page
	sessions  *web.Sessions                     // of the page
	passwords passwordReader                    // of the page
	comparer  *comparer                         // of models, for the page
	prober    *prober                           // of the devices, for the page
	recorder  atomic.Pointer[recorder.Recorder] // nil while nothing is recorded
	// recording is held by the recorder that uses the disk: one that was replaced may wait for a
	// disk that hangs.
	recording chan struct{}
	reporter  *report.Reporter
	alarms    *alarm.Tracker
	// suspicions are the early warnings before alarms.
	suspicions *alarm.Tracker
	change     atomic.Pointer[message.Change] // where the newest frame is brighter than before
	// snapshots are pictures of alarms that are being made.
	snapshots sync.WaitGroup
	manager   *remote.Manager // of the configuration; nil if that does not change

	outbox *outbox.Log // nil if records wait in memory
	// outboxLock is held while the outbox is open.
	outboxLock io.Closer
	// opened is the outbox in use, openedBy what of the configuration it was opened by.
	opened   delivery.Outbox
	openedBy any

	// changing is held while instances are stopped and started.
	changing sync.Mutex
	// beside reports whether another agent may watch this furnace.
	beside   bool
	running  *supervisor.Group
	parts    []*part
	services []service
}

// service is a loop that runs as long as the agent.
type service struct {
	name string
	run  func(context.Context) error
}

// log returns the logger of one part.
func (a *Agent) log(part string) *slog.Logger { return a.env.Log.With("part", part) }
