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
} >>"$out"
echo "prove: a hundred kills during roll-outs of configurations and models (5-10 minutes)"
{
  echo "## A hundred kills during roll-outs"
  echo
  echo '```'
} >>"$out"
MELTWATCH_KILLS=50 go test ./agent -v -timeout 30m -run TestRandomKillsDuringRollOuts 2>&1 |
  grep -E '^(---|ok|FAIL)|kill_test.go' | tee -a "$out"
[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
{
  echo '```'
  echo
  echo "## The model on data that nothing has seen"
  echo
} >>"$out"
echo "prove: the committed model on 60 fresh batches (3-6 minutes)"
.deps/venv/bin/python -m inference.train.fresh | tee -a "$out"
[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
cp "$out" "$report"
exit "$status"
