// Package life is the agent's simulated life: all of its logic that needs no
// wire, disk or clock of its own, on a furnace, a network and a disk in memory
// whose faults come from a seed.
//
// Driven are config (a life's settings are a document that is parsed at each
// start), align, decide's judge with a stand-in for the model, state, mqtt's
// ledger of records, connections and history, and outbox. Left out is what waits:
// goroutines, sockets, processes. One loop takes the earliest event, sleeps until
// it is due, and carries it out; it is the only goroutine, in a bubble of
// testing/synctest, so that a day takes a second or two and the same seed takes
// the same course to the last byte. docs/reliability.md tells what is promised
// and checked.
//
// The package is tests alone:
//
//	go test ./agent/simtest                          20 lives of a day
//	SIM_SEEDS=1000 go test ./agent/simtest          more of them
//	SIM_SEED=17 go test -run TestReplay -v ./agent/simtest   one, with its story
package simtest
