#!/usr/bin/env bash
# What takes longer than a test may. Writes its report into docs/proof.md.
set -uo pipefail
cd "$(dirname "$0")/.."
report=docs/proof.md
out=$(mktemp)
trap 'rm -f "$out"' EXIT
began=$SECONDS
status=0
{
  echo "# Proof"
  echo
  echo "Written by \`make prove\` at $(git describe --tags --always --dirty) on $(date -u +%F), $(nproc) cores."
  echo
  echo "## Fuzzing, 1,000,000 executions a target"
  echo
  echo '```'
} >"$out"
scripts/fuzz.sh 1000000x 2>&1 | tee -a "$out"
status=${PIPESTATUS[0]}
{
  echo '```'
  echo
  echo "$([ "$status" -eq 0 ] && echo "No panic, no hang, no failure." || echo "FAILED, see above.") $((SECONDS - began)) s."
  echo
  echo "## The model on data that nothing has seen"
  echo
} >>"$out"
echo "prove: the committed model on 60 fresh batches (3-6 minutes)"
.deps/venv/bin/python -m inference.train.fresh | tee -a "$out"
[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
section() { # title, command: its standard output is the section
  printf '\n## %s\n\n' "$1" >>"$out"
  echo "prove: $1"
  shift
  "$@" | tee -a "$out"
  [ "${PIPESTATUS[0]}" -eq 0 ] || { status=1; echo "FAILED." | tee -a "$out"; }
}
lives() {
  echo "\`LIFE_SEEDS=${LIFE_SEEDS:-1000} go test ./agent/life\`: simulated days of the agent's logic, and the planted bugs."
  echo
  LIFE_SEEDS=${LIFE_SEEDS:-1000} CGO_ENABLED=0 go test -v -timeout 3h ./agent/life |
    awk '/lives of a day|found with seed|violated|seed [0-9]+: after|^(ok|FAIL)/ {sub(/^ *[a-z_]+\.go:[0-9]+: /, "- "); print} /^FAIL/ {bad = 1} END {exit bad}'
}
section "Simulated lives" lives
section "The ledger" bin/bench ledger
section "Soak" bin/bench soak --minutes "${SOAK_MINUTES:-20}"
cp "$out" "$report"
exit "$status"
