#!/usr/bin/env bash
# Lists the packages in which the race detector has something to watch: their code or their
# tests start goroutines, guard what goroutines share, or give callbacks to a library that
# calls them from goroutines of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files '*.go' | xargs grep -lE '^\s*go (func\b|[a-z])|\.Go\(|\bchan\b|"sync(/atomic)?"|"testing/synctest"|"net/http|t\.Parallel\(|paho' | xargs -n 1 dirname | sort -u |
  grep -Fxf <(git ls-files '*_test.go' | xargs -n 1 dirname) | sed 's|^|./|'
