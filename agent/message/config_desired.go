package message

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"meltwatch/config"
	"meltwatch/config/strict"
)

// MaxConfigDesired bounds a payload of config/desired, in bytes.
const MaxConfigDesired = 256 << 10

// ConfigDesired is the payload of config/desired.
type ConfigDesired struct {
	// Revision counts a furnace's documents; each must be higher than the last.
	Revision int64 `json:"revision"`
	// Config is a JSON merge patch over the box's local file; {} is the local file
	// alone.
	Config json.RawMessage `json:"config"`
	// DeadlineS is the time in seconds within which changed parts must make progress; 0
	// means remote.deadline.
	DeadlineS int `json:"deadline_s,omitempty"`
	// Previous is the previous Config, for meltctl config rollback; the agent ignores
	// it.
	Previous json.RawMessage `json:"previous,omitempty"`
	// Key names the key of trust.config_keys that made Signature, in base64.
	Key       string `json:"key,omitempty"`
	Signature string `json:"signature,omitempty"`
}

// The bounds of DeadlineS.
const (
	LeastDeadline = 1
	MostDeadline  = 600
)

// ParseConfigDesired decodes a payload strictly.
func ParseConfigDesired(payload []byte) (ConfigDesired, []Fault) {
	var d ConfigDesired
	if err := strict.Decode(payload, MaxConfigDesired, &d); err != nil {
		return d, OneFault(jsonKey(err), "invalid document on config/desired: "+err.Error()+"; want {revision, config, deadline_s}")
	}
	return d, d.check()
}

func jsonKey(err error) string {
	var wrong *json.UnmarshalTypeError
	var text strict.TextError
	switch {
	case errors.As(err, &wrong):
		return wrong.Field
	case errors.As(err, &text):
		return strings.TrimPrefix(text.Key, "config.")
	}
	return ""
}

func (d ConfigDesired) check() (faults []Fault) {
	if d.Revision < 1 {
		faults = append(faults, Fault{Key: "revision", Message: fmt.Sprintf("%d is invalid: revisions start at 1", d.Revision)})
	}
	if d.DeadlineS != 0 && (d.DeadlineS < LeastDeadline || d.DeadlineS > MostDeadline) {
		faults = append(faults, Fault{Key: "deadline_s", Message: fmt.Sprintf("%d is out of bounds: want %d to %d seconds", d.DeadlineS, LeastDeadline, MostDeadline)})
	}
	if len(d.Config) == 0 {
		faults = append(faults, Fault{Key: "config", Message: "is missing: give a JSON merge patch, or {} for the local file alone"})
	}
	return faults
}

// Deadline returns DeadlineS as a duration, or a default if it is 0.
func (d ConfigDesired) Deadline(otherwise time.Duration) time.Duration {
	if d.DeadlineS == 0 {
		return otherwise
	}
	return time.Duration(d.DeadlineS) * time.Second
}

// signedText is the text that is signed, for one furnace and one revision. It is
// independent of spaces in the JSON, which tools may change in transit.
func (d ConfigDesired) signedText(root string) ([]byte, error) {
	text := fmt.Appendf(nil, "meltwatch config 1\n%s\n%d\n%d\n", root, d.Revision, d.DeadlineS)
	body := bytes.NewBuffer(text)
	if err := json.Compact(body, d.Config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if len(d.Previous) == 0 {
		return body.Bytes(), nil
	}
	body.WriteByte('\n')
	if err := json.Compact(body, d.Previous); err != nil {
		return nil, fmt.Errorf("previous: %w", err)
	}
	return body.Bytes(), nil
}

// Sign signs the document for the furnace whose topics start with root.
func (d *ConfigDesired) Sign(root, name string, key ed25519.PrivateKey) error {
	text, err := d.signedText(root)
	if err != nil {
		return err
	}
	d.Key, d.Signature = name, base64.StdEncoding.EncodeToString(ed25519.Sign(key, text))
	return nil
}

// Signed reports whether one of the named keys signed the document for the furnace
// whose topics start with root.
func (d ConfigDesired) Signed(root string, keys map[string]string) bool {
	return len(d.Verify(root, keys, true)) == 0
}

// Verify checks the signature against the trusted keys. Without required, a document
// without a signature is accepted.
func (d ConfigDesired) Verify(root string, keys map[string]string, required bool) []Fault {
	if d.Signature == "" && !required {
		return nil
	}
	if d.Signature == "" {
		return OneFault("signature", "is missing, and remote.signed_config is true on this box: sign the document with meltctl config set --key")
	}
	public, ok := config.Key(keys[d.Key])
	if !ok {
		return OneFault("key", fmt.Sprintf("%.64q is missing from this box's trust.config_keys: add it there, or sign with another key", d.Key))
	}
	signature, err := base64.StdEncoding.DecodeString(d.Signature)
	if err != nil {
		return OneFault("signature", "is invalid base64")
	}
	text, err := d.signedText(root)
	if err != nil {
		return OneFault("config", err.Error())
	}
	if !ed25519.Verify(public, text, signature) {
		return OneFault("signature", "is invalid: it was made with another key, or for another furnace, revision, deadline or config")
	}
	return nil
}
