package agent

import (
	"context"

	"meltwatch/agent/alarm"
	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/report"
	"meltwatch/drivers"
)

// Stepper drives an agent's logic in a simulation with virtual time: without
// goroutines, sockets and processes, in the order of its caller. Run uses the same
// methods in its loops. An agent is either stepped or run.
type Stepper struct {
	agent  *Agent
	health report.Health
}

// Step returns a Stepper for the agent.
func (a *Agent) Step() *Stepper {
	a.reporter.Resume()
	return &Stepper{agent: a}
}

// Sample adds a sample of the meter with the currents.
func (s *Stepper) Sample(sample drivers.Sample) { s.agent.sample(sample) }

// Decide decides one second and publishes the decision.
func (s *Stepper) Decide(ctx context.Context) decide.Decision { return s.agent.loop.Decide(ctx) }

// Save writes the state, the alarm and the suspicion that the next start resumes, unless
// they are already written.
func (s *Stepper) Save() {
	s.agent.reporter.SaveNow()
	for _, of := range []*alarm.Tracker{s.agent.alarms, s.agent.suspicions} {
		select {
		case last := <-of.Saves():
			if err := of.Save(last); err != nil {
				s.agent.log("alarm").Warn("alarm not saved for the next start", "err", err)
			}
		default:
		}
	}
}

// Publisher returns the active publisher.
func (s *Stepper) Publisher() *delivery.Publisher { return s.agent.out.Active() }

// Health publishes health if it is due.
func (s *Stepper) Health() { s.agent.reporter.PublishHealth(&s.health) }

// Status returns the status of each part.
func (s *Stepper) Status() map[string]health.Status { return s.agent.registry.Snapshot() }
