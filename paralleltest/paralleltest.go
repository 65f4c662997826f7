// Package paralleltest runs the tests of a package that mostly wait.
package paralleltest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// Run runs the tests and returns the exit status, as m.Run does. So many parallel tests run at
// once for each processor, unless -parallel says otherwise.
func Run(m *testing.M, each int) int {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(each*runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}
