package agent

import (
	"context"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// Stepper drives an agent's logic where time is not the host's: without goroutines,
// sockets and processes, in the order in which its owner calls. Run calls the same
// methods from its loops. An agent is stepped or run, never both.
type Stepper struct {
	agent  *Agent
	health healthReport
}

// Step begins to drive the agent.
func (a *Agent) Step() *Stepper {
	a.reporter.resume()
	return &Stepper{agent: a}
}

// Sample takes what the meter with the currents answered.
func (s *Stepper) Sample(sample drivers.Sample) { s.agent.sample(sample) }

// Decide decides one second and publishes it.
func (s *Stepper) Decide(ctx context.Context) decide.Decision { return s.agent.loop.Decide(ctx) }

// Publisher is the one that records go to.
func (s *Stepper) Publisher() *delivery.Publisher { return s.agent.out.Active() }

// Health publishes health if that is due.
func (s *Stepper) Health() { s.agent.reporter.publishHealth(&s.health) }

// Status is how each part is.
func (s *Stepper) Status() map[string]health.Status { return s.agent.registry.Snapshot() }

// sample publishes a sample and hands it to the decision.
func (a *Agent) sample(s drivers.Sample) {
	if s.Missing == "" { // missing samples are counted but not published
		a.out.Sample(a.stamped(s))
	}
	a.loop.Offer(s)
}

func (a *Agent) stamped(s drivers.Sample) message.Sample {
	return message.Sample{
		Stamp: a.stamper.Stamp(string(message.ClassCurrent), s.Time),
		A:     s.Current[0], B: s.Current[1], C: s.Current[2], SetPoint: s.SetPoint,
		Feeding: s.Bits&drivers.Feeding != 0, Exhaust: s.Bits&drivers.Exhaust != 0, Manual: s.Bits&drivers.Manual != 0,
		UncertaintyMS: float64(s.Uncertainty.Microseconds()) / 1000,
	}
}
