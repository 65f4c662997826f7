package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"meltwatch/agent/message"
	"meltwatch/durable"
)

// Reloaded is the result of the last Reload.
type Reloaded struct {
	// File identifies the content of the local file that was read, as FileSum does; it is
	// that of no content if the file could not be read.
	File   string               `json:"file_sha256"`
	Report message.ConfigReport `json:"report"`
}

// FileSum identifies the content of a local file.
func FileSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// ReloadTakes is how long a Reload takes at most: its trial waits for the end of one of a
// change from the page.
func ReloadTakes(deadline time.Duration) time.Duration {
	const disk = 30 * time.Second
	return deadline + confirmFor + deadline + disk
}

const reloadFile = "reload.json"

// recordReload writes the result of a Reload, so that `meltwatch reload --wait` finds it
// without a broker. A trial that the end of the process interrupts has none.
func (m *Manager) recordReload(text []byte, result message.ConfigReport) {
	if result.Status == message.Applying {
		return
	}
	encoded, err := json.Marshal(Reloaded{FileSum(text), result})
	if err == nil {
		err = durable.Replace(m.settings.Files, reloadFile, encoded)
	}
	if err != nil {
		m.settings.Log.Warn("result of reload not recorded", "err", err)
	}
}

// LastReload reads the result of the last Reload of an agent. It is the zero Reloaded if
// there was none.
func LastReload(files durable.Files) (last Reloaded, err error) {
	text, err := durable.ReadFile(files, reloadFile)
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err != nil {
		return last, fmt.Errorf("read result of reload: %w", err)
	}
	if err := json.Unmarshal(text, &last); err != nil {
		return last, fmt.Errorf("decode %s: %w", reloadFile, err)
	}
	return last, nil
}
