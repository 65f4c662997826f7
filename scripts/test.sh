#!/usr/bin/env bash
# Every test. Called by `make test`, which sets what the compiler needs.
set -uo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
failed=0
stage() {
  local start=$SECONDS
  echo "test: $1"
  shift
  "$@" || { failed=1; echo "test: FAILED: $*"; }
  echo "test: took $((SECONDS - start)) s"
}
# The page is driven in a real browser; without root or network its tests are skipped and say so.
if ! command -v chromium >/dev/null; then
  echo "test: installing chromium from Debian (1 minute)"
  as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
  as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null || echo "test: chromium is missing: the page's browser tests are skipped"
fi
stage "go vet" go vet ./...
# Each package runs here or under the race detector; in both, if -short leaves some of its tests out.
mapfile -t plain < <(comm -23 <(go list ./... | sort) <(scripts/concurrent.sh --whole | xargs go list | sort))
# Two packages at a time: most of what takes long here waits.
# The stage before has vetted each package.
stage "go test" scripts/gotest.sh gotest -vet=off -p 2 -timeout 30m "${plain[@]}"
# Only packages in which goroutines share something can race. -short leaves out what runs for
# minutes of real time and was run above.
mapfile -t concurrent < <(scripts/concurrent.sh)
stage "go test -race" scripts/gotest.sh race -race -short -vet=off -p 2 -timeout 30m "${concurrent[@]}"
stage "fuzzing, ${FUZZ_RUNS:-100000x} executions a target" scripts/fuzz.sh "${FUZZ_RUNS:-100000x}"
# A file of tests stays in one process, because its tests share what they train.
stage "pytest" .deps/venv/bin/python -m pytest -q -n 2 --dist loadfile --durations=12 --durations-min=5 inference/train
stage "Go and Python agree" .deps/venv/bin/python -m inference.train.parity
echo "test: $((SECONDS - began)) s in all"
exit $failed
