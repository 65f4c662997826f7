package agent

import (
	"log/slog"

	"meltwatch/durable"
)

// Env is the world around an agent: everything that is not its configuration.
type Env struct {
	// Log is the agent's, Level what a configuration may change of it.
	Log   *slog.Logger
	Level *slog.LevelVar
	// Version is the agent's own, as published.
	Version string
	// KernelBoot is the kernel's boot id.
	KernelBoot string
}

// Host is the machine that the program runs on.
func Host(log *slog.Logger, level *slog.LevelVar, version string) (Env, error) {
	boot, err := durable.KernelBootID()
	return Env{Log: log, Level: level, Version: version, KernelBoot: boot}, err
}
