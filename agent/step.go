package agent

import (
	"context"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/report"
	"meltwatch/drivers"
)

// Stepper drives an agent's logic where time is not the host's: without goroutines,
// sockets and processes, in the order in which its owner calls. Run calls the same
// methods from its loops. An agent is stepped or run, never both.
type Stepper struct {
	agent  *Agent
	health report.Health
}

// Step begins to drive the agent.
func (a *Agent) Step() *Stepper {
	a.reporter.Resume()
	return &Stepper{agent: a}
}

// Sample takes what the meter with the currents answered.
func (s *Stepper) Sample(sample drivers.Sample) { s.agent.sample(sample) }

// Decide decides one second and publishes it.
func (s *Stepper) Decide(ctx context.Context) decide.Decision { return s.agent.loop.Decide(ctx) }

// Save writes the state that the next start resumes, if it is not written yet.
func (s *Stepper) Save() { s.agent.reporter.SaveNow() }

// Publisher is the one that records go to.
func (s *Stepper) Publisher() *delivery.Publisher { return s.agent.out.Active() }

// Health publishes health if that is due.
func (s *Stepper) Health() { s.agent.reporter.PublishHealth(&s.health) }

// Status is how each part is.
func (s *Stepper) Status() map[string]health.Status { return s.agent.registry.Snapshot() }
