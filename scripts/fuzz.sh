#!/usr/bin/env bash
# Runs every fuzz target for a time (10s) or a number of executions (1000000x), as
# many at once as there are cores, each with one worker.
set -euo pipefail
cd "$(dirname "$0")/.."
export budget=${1:-10s}

one() {
  local target package out status=0
  target=$(sed -E 's/.*func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$1")
  package=./$(dirname "${1%%:*}")
  out=$(go test -run "^$" -fuzz "^$target\$" -fuzztime "$budget" -fuzzminimizetime 20x -parallel 1 "$package" 2>&1) || status=$?
  echo "fuzz: $package $target for $budget"
  # What it found stands whole; of a target that found nothing the last lines do.
  if [ "$status" -eq 0 ]; then tail -n 2 <<<"$out"; else echo "$out"; fi
  return "$status"
}
export -f one

mapfile -t targets < <(git ls-files '*_test.go' | xargs grep -nE '^func Fuzz[A-Z]')
[ "${#targets[@]}" -gt 0 ]
printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'one "$0"'
echo "fuzz: ${#targets[@]} passed, 0 failed"
