#!/usr/bin/env bash
# Runs every fuzz target for a time (10s) or a number of executions (1000000x).
set -euo pipefail
cd "$(dirname "$0")/.."
budget=${1:-10s}
ran=0
while IFS=: read -r file _ line; do
  target=$(sed -E 's/.*func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$line")
  package=./$(dirname "$file")
  echo "fuzz: $package $target for $budget"
  go test -run "^$" -fuzz "^$target\$" -fuzztime "$budget" -fuzzminimizetime 20x "$package" | tail -n 2
  ran=$((ran + 1))
done < <(git ls-files '*_test.go' | xargs grep -nE '^func Fuzz[A-Z]')
[ "$ran" -gt 0 ]
echo "fuzz: $ran passed, 0 failed"
