#!/usr/bin/env bash
# Lists the packages in which the race detector has something to watch: their code or their
# tests start goroutines, guard what goroutines share, or give callbacks to a library that
# calls them from goroutines of its own. With --whole it lists those of them whose tests are the
# same under the race detector and with -short, so that they need not run without both as well.
set -euo pipefail
cd "$(dirname "$0")/.."
whole=${1:-}
git ls-files '*.go' | xargs grep -lE '^\s*go (func\b|[a-z])|\.Go\(|\bchan\b|"sync(/atomic)?"|"testing/synctest"|"net/http|t\.Parallel\(|paho' | xargs -n 1 dirname | sort -u |
  grep -Fxf <(git ls-files '*_test.go' | xargs -n 1 dirname) |
  if [ "$whole" = --whole ]; then
    # The detector allocates, so a test that counts allocations is not built with it.
    grep -vFxf <(git ls-files '*_test.go' | xargs grep -lE 'testing\.Short\(\)|AllocsPerRun|^//go:build .*race' | xargs -n 1 dirname)
  else
    cat
  fi | sed 's|^|./|'
