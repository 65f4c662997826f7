// Package meltwatch is the root of the module; it holds no code, only the test
// of the rules that all packages keep. Start at docs/architecture.md.
package meltwatch
