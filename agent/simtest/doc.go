// Package simtest runs the agent through simulated days, with a furnace, a network and a
// disk in memory whose faults depend on a seed.
//
// It runs package agent, built by agent.New from a document that is read at each start,
// with a simulated clock, disk and children (agent.Env), but without goroutines,
// sockets and processes. One loop takes the earliest event, sleeps until it is due, and
// calls agent.Stepper. It is the only goroutine, under testing/synctest, so that a day
// takes a few seconds and the same seed gives the same day to the last byte.
// docs/reliability.md lists the promises that are checked.
//
// The package holds tests only:
//
//	go test ./agent/simtest                                  10 days
//	SIM_SEEDS=1000 go test ./agent/simtest                  more of them
//	SIM_SEED=17 go test -run TestReplay -v ./agent/simtest   one, with a log
package simtest
