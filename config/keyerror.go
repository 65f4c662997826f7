package config

import "fmt"

// KeyError is an error about one setting.
type KeyError struct {
	Key string // such as camera.url
	Err error
}

// KeyErrorf returns a KeyError with a formatted cause.
func KeyErrorf(key, format string, args ...any) error {
	return &KeyError{Key: key, Err: fmt.Errorf(format, args...)}
}

// Error starts with the key.
func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }
