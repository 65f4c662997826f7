// Package simtest leads the agent through simulated days, on a furnace, a network and a
// disk in memory whose faults come from a seed.
//
// What runs is package agent, built by agent.New from a document that is read at each
// start, with a clock, a disk and children of the simulation's own (agent.Env). Left out
// is what waits: goroutines, sockets, processes. One loop takes the earliest event, sleeps
// until it is due, and calls agent.Stepper; it is the only goroutine, in a bubble of
// testing/synctest, so that a day takes a few seconds and the same seed gives the same
// day to the last byte. docs/reliability.md lists what is promised and checked.
//
// The package is tests alone:
//
//	go test ./agent/simtest                                  20 days
//	SIM_SEEDS=1000 go test ./agent/simtest                  more of them
//	SIM_SEED=17 go test -run TestReplay -v ./agent/simtest   one, told
package simtest
