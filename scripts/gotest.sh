#!/usr/bin/env bash
# Runs go test with the given arguments, shows a line a package, every failure
# whole and every skip with its reason, and closes with the counts.
# Usage: scripts/gotest.sh NAME [go test arguments]
set -uo pipefail
name=$1
shift
go test -json "$@" | python3 "$(dirname "$0")/gotest.py" "$name"
exit "${PIPESTATUS[0]}"
