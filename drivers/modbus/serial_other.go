//go:build !linux

package modbus

import (
	"errors"

	"meltwatch/config"
)

// Serial lines are built for Linux only; elsewhere the agent still polls over
// TCP, which is enough to develop on.

func openSerial(string, config.Serial) (stream, error) {
	return nil, errors.New("open serial line: only built for linux; use a tcp:// or rtuovertcp:// gateway")
}

// input is not looked at here.
type input struct{}

func newInput(stream) *input { return &input{} }

func (*input) ended() bool { return false }

func (*input) discard() {}
