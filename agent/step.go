package agent

import (
	"context"

	"meltwatch/agent/decide"
	"meltwatch/agent/delivery"
	"meltwatch/agent/health"
	"meltwatch/agent/message"
	"meltwatch/drivers"
)

// Stepper drives an agent's logic in a simulation with virtual time: without
// goroutines, sockets and processes, in the order of its caller. Run uses the same
// methods in its loops. An agent is either stepped or run.
type Stepper struct {
	agent  *Agent
	health healthReport
}

// Step returns a Stepper for the agent.
func (a *Agent) Step() *Stepper {
	a.reporter.resume()
	return &Stepper{agent: a}
}

// Sample adds a sample of the meter with the currents.
func (s *Stepper) Sample(sample drivers.Sample) { s.agent.sample(sample) }

// Decide decides one second and publishes the decision.
func (s *Stepper) Decide(ctx context.Context) decide.Decision { return s.agent.loop.Decide(ctx) }

// Publisher returns the active publisher.
func (s *Stepper) Publisher() *delivery.Publisher { return s.agent.out.Active() }

// Health publishes health if it is due.
func (s *Stepper) Health() { s.agent.reporter.publishHealth(&s.health) }

// Status returns the status of each part.
func (s *Stepper) Status() map[string]health.Status { return s.agent.registry.Snapshot() }

// sample publishes a sample and passes it to the decision loop.
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
