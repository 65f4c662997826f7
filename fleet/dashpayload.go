package fleet

import (
	"encoding/json"
	"errors"
	"time"

	"meltwatch/agent/message"
)

// A broker may hold anything, also of an agent of another release: of each payload the
// page gets the fields that it shows, if they have the type that it expects.

type dashState struct {
	State string `json:"state"`
	Since string `json:"since"`
	Held  bool   `json:"held"`
	// Level and what follows are absent with an agent of an older release.
	Level      string `json:"level"`
	LevelSince string `json:"level_since"`
	LevelHeld  bool   `json:"level_held"`
	Source     string `json:"source"`
	Senses     *struct {
		Current string `json:"current"`
		Video   string `json:"video"`
	} `json:"senses"`
	PMean *float64 `json:"p_mean,omitempty"`
	Model *struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"model"`
}

type dashAlarm struct {
	Phase        string `json:"phase"`
	Raised       string `json:"raised"`
	Summary      string `json:"summary"`
	Acknowledged *struct {
		By string `json:"by"`
	} `json:"acknowledged"`
	Shelved *struct {
		By     string `json:"by"`
		Reason string `json:"reason"`
	} `json:"shelved"`
}

type dashHealth struct {
	Agent string `json:"agent"`
	Parts map[string]struct {
		Status    string `json:"status"`
		LastError string `json:"last_error"`
	} `json:"parts"`
}

// seen reports whether somebody has seen the alarm or the suspicion that began at an instant.
// The retained alarm may be of an earlier one: the newest may not have arrived, or been too
// large for the broker.
func (a *dashAlarm) seen(since string) bool {
	if a == nil || a.Phase != message.AlarmAcknowledged && a.Phase != message.AlarmShelved {
		return false
	}
	raised, errRaised := time.Parse(time.RFC3339, a.Raised)
	began, errBegan := time.Parse(time.RFC3339, since)
	const apart = 2 * time.Second // where both times were corrected after the clock was set
	return errRaised == nil && errBegan == nil && raised.Sub(began).Abs() <= apart
}

// decoded is a payload without what has another type; nil if it is not an object.
func decoded[T any](payload []byte) *T {
	var value *T
	err := json.Unmarshal(payload, &value)
	var odd *json.UnmarshalTypeError
	if err != nil && (!errors.As(err, &odd) || odd.Field == "") {
		return nil
	}
	return value
}
