#!/usr/bin/env bash
# Every test. Called by `make test`, which sets what the compiler needs.
set -uo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
notes=$(mktemp -d)
computing=
ended() {
  [ -z "$computing" ] || kill -- "-$computing" 2>/dev/null || true
  rm -rf "$notes"
}
trap ended EXIT
trap 'exit 130' INT TERM

# stage NAME COMMAND...
stage() {
  local start=$SECONDS name=$1
  shift
  echo "test: $name"
  "$@" || { touch "$notes/failed"; echo "test: FAILED: $*"; }
  echo "test: $name took $((SECONDS - start)) s"
}

# aside NAME COMMAND... is a stage that runs beside others, with what they leave of the
# processor. What it says is shown at its end, in one piece.
aside() {
  local name=$1
  shift
  stage "$name" scripts/idle.sh "$@" >"$notes/said" 2>&1
  cat "$notes/said"
}

# The page is driven in a real browser; without root or network its tests are skipped and say so.
if ! command -v chromium >/dev/null; then
  echo "test: installing chromium from Debian (1 minute)"
  as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
  as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null || echo "test: chromium is missing: the page's browser tests are skipped"
fi
stage "go vet" go vet ./...
# Most of what takes long in the Go tests waits, so what only computes runs beside them. A
# process group of its own can be ended with all its programs.
set -m
{
  aside "fuzzing, ${FUZZ_RUNS:-100000x} executions a target" scripts/fuzz.sh "${FUZZ_RUNS:-100000x}"
  # A file of tests stays in one process, because its tests share what they train.
  aside "pytest" .deps/venv/bin/python -m pytest -q -n 2 --dist loadfile inference/train
  aside "Go and Python agree" .deps/venv/bin/python -m inference.train.parity
} </dev/null &
computing=$!
set +m
# The stage before has vetted each package.
stage "go test" scripts/gotest.sh gotest -vet=off -p 3 -timeout 30m ./...
# -short leaves out what runs for minutes of real time and was run above.
mapfile -t concurrent < <(scripts/concurrent.sh)
stage "go test -race" scripts/gotest.sh race -race -short -vet=off -p 2 -timeout 30m "${concurrent[@]}"
wait "$computing" || touch "$notes/failed"
computing=
failed=0
[ ! -e "$notes/failed" ] || failed=1
echo "test: $((SECONDS - began)) s in all"
exit $failed
