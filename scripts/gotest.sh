#!/usr/bin/env bash
# Runs go test with the given arguments, shows a line a package, every failure
# whole and every skip with its reason, and closes with the counts.
# Usage: scripts/gotest.sh NAME [go test arguments]
set -uo pipefail
name=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -v "$@" >"$log" 2>&1
status=$?
grep -E '^(ok|FAIL|---|panic:|#)|no test files' "$log" | grep -vE '^--- (PASS|SKIP)|no test files'
if [ $status -ne 0 ]; then
  # The failing tests' own words: from each failure's start to its verdict.
  awk '/^=== RUN/ {held = ""} {held = held $0 "\n"} /--- FAIL|^panic:|DATA RACE|^#|cannot|undefined/ {printf "%s", held; held = ""}' "$log" | tail -n 200
fi
grep -B1 -E '^ *--- SKIP' "$log" | grep -vE '^--$' | sed 's/^ */skipped: /' | head -40
count() { grep -cE "^ *--- $1:" "$log"; }
echo "$name: $(count PASS) passed, $(count FAIL) failed, $(count SKIP) skipped"
exit $status
