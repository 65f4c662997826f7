// Package child keeps a process that does what this one must not: call C
// libraries that block, crash and leak.
package child
