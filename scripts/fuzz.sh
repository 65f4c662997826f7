#!/usr/bin/env bash
# Runs every fuzz target for a number of executions, as many at once as there are
# cores, each with one worker. A number and not a time: at the end of a time Go 1.26
# now and then fails a target that found nothing ("context deadline exceeded",
# go.dev/issue/75804, repaired in Go 1.27).
# Usage: scripts/fuzz.sh [100000x]
set -euo pipefail
cd "$(dirname "$0")/.."
export budget=${1:-100000x}
if ! [[ $budget =~ ^[1-9][0-9]*x$ ]]; then
  echo "fuzz: '$budget' is not a number of executions; write 100000x" >&2
  exit 2
fi
programs=$(mktemp -d)
# Where `go test -fuzz` keeps the inputs that reached new code, and looks for them.
corpora=$(go env GOCACHE)/fuzz/$(go list -m)
export programs corpora
trap 'rm -rf "$programs"' EXIT

# program PACKAGE is the path of a package's test program.
program() { echo "$programs/${1//\//_}.test"; }

# build PACKAGE links one program for all targets of a package; `go test -fuzz` would link one
# for each.
build() { go test -c -vet=off -fuzz . -o "$(program "$1")" "./$1"; }

# one FILE:LINE:FUNCTION runs one target.
one() {
  local target package out status=0
  target=$(sed -E 's/.*func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$1")
  package=$(dirname "${1%%:*}")
  out=$(cd "$package" && "$(program "$package")" -test.run "^$" -test.fuzz "^$target\$" -test.fuzztime "$budget" \
    -test.fuzzminimizetime 20x -test.parallel 1 -test.timeout 0 -test.fuzzcachedir "$corpora/$package" 2>&1) || status=$?
  echo "fuzz: ./$package $target for $budget"
  # What it found stands whole; of a target that found nothing the last lines do.
  if [ "$status" -eq 0 ]; then tail -n 2 <<<"$out"; else echo "$out"; fi
  return "$status"
}
export -f program one

mapfile -t targets < <(git ls-files '*_test.go' | xargs grep -nE '^func Fuzz[A-Z]')
[ "${#targets[@]}" -gt 0 ]
mapfile -t packages < <(printf '%s\n' "${targets[@]%%:*}" | xargs -n 1 dirname | sort -u)
# One after the other: two builds at once would compile the packages that both import twice.
for package in "${packages[@]}"; do build "$package"; done
if ! printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'one "$0"'; then
  echo "fuzz: of ${#targets[@]} targets some failed; what each found stands above" >&2
  exit 1
fi
echo "fuzz: ${#targets[@]} passed, 0 failed"
