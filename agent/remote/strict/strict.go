// Package strict decodes what comes from afar: bounded, one JSON object, every key
// known.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Decode decodes a payload of at most `most` bytes. The error says what is wrong;
// errors.As finds json's own in it.
func Decode(payload []byte, most int, into any) error {
	if len(payload) > most {
		return fmt.Errorf("the payload has %d bytes, the most is %d", len(payload), most)
	}
	in := json.NewDecoder(bytes.NewReader(payload))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		return err
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows the JSON object: send one object alone")
	}
	return nil
}
