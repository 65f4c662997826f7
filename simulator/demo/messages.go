package demo

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// The payloads as docs/mqtt.md describes them: the demo shares no type with the agent.
type stateMessage struct {
	Time      time.Time `json:"time"`
	State     string    `json:"state"`
	Since     time.Time `json:"since"`
	Held      bool      `json:"held"`
	Level     string    `json:"level"`
	PAbnormal float64   `json:"p_abnormal"`
	PMean     float64   `json:"p_mean"`
	Source    string    `json:"source"`
	Alignment *float64  `json:"alignment"`
	Evidence  *struct {
		X, Y float64
	} `json:"evidence"`
	Senses struct {
		Current, Video string
	} `json:"senses"`
	Coverage struct {
		Current, Video float64
	} `json:"coverage"`
	Model struct {
		Name, Version string
	} `json:"model"`
	LatencyMS float64 `json:"latency_ms"`
}

type sampleMessage struct {
	Time    time.Time `json:"time"`
	A, B, C float64
}

// subscriber collects what an agent publishes.
type subscriber struct {
	mu      sync.Mutex
	picture picture
	score   *score
	fault   error // of the first unreadable payload
}

func (s *subscriber) take(topic string, payload []byte, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture.messages++
	s.score.messages++
	var err error
	switch topic {
	case "availability":
		s.picture.availability = string(payload)
	case "state":
		err = s.state(payload, at)
	case "current":
		err = s.current(payload, at)
	case "event":
		err = s.event(payload)
	}
	if err != nil && s.fault == nil {
		s.fault = fmt.Errorf("read message on %s: %w", topic, err)
	}
}

func (s *subscriber) state(payload []byte, at time.Time) error {
	var m stateMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return err
	}
	s.picture.state = m
	s.score.observe(arrival{at: at, state: m.State, decided: m.Source != "none", latency: at.Sub(m.Time)})
	return nil
}

func (s *subscriber) current(payload []byte, at time.Time) error {
	var m struct{ Samples []sampleMessage }
	if err := json.Unmarshal(payload, &m); err != nil {
		return err
	}
	for _, one := range m.Samples {
		s.picture.current = one
		s.score.delays = append(s.score.delays, at.Sub(one.Time))
	}
	return nil
}

func (s *subscriber) event(payload []byte) error {
	var m struct {
		Time                     time.Time
		Subject, From, To, Cause string
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return err
	}
	line := fmt.Sprintf("%s  %s: %s → %s", m.Time.Local().Format("15:04:05"), m.Subject, orDash(m.From), m.To)
	if m.Cause != "" {
		line += "  (" + m.Cause + ")"
	}
	s.picture.event(clip(line))
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func clip(line string) string {
	const width = 96
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return line
}
