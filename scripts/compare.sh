#!/usr/bin/env bash
# Trains and scores every system of docs/comparison.md. Called by `make compare`. What was
# done is not done again, so it may be stopped at any time. COMPARE_ROWS and
# COMPARE_SEEDS choose. As many runs as cores are trained at once (COMPARE_JOBS, four at most by default).
set -euo pipefail
cd "$(dirname "$0")/.."
program=compare
source scripts/data.sh

echo "compare: all systems, three seeds: 3 to 4 hours on two idle cores, some 5 minutes a run; goes on where it stopped"
stage "melts to train on" data_train
stage "melts to choose thresholds on" data_val
stage "melts to report on" data_test
# 60 normal hours to choose thresholds on and 60 to report on.
stage "normal hours" dataset data/normal 33 normal 1800 0 240 0 0.5
stage "the senses by themselves" senses
stage "tokens" tokens train train
stage "tokens" tokens val val
stage "tokens" tokens test test
stage "tokens of harder scenes" scenes
stage "tokens" tokens normal val test
# shellcheck disable=SC2086 # lists, on purpose
stage "training and judging" "$python" -m inference.train.compare \
  ${COMPARE_ROWS:+--rows $COMPARE_ROWS} ${COMPARE_SEEDS:+--seeds $COMPARE_SEEDS} ${COMPARE_JOBS:+--jobs $COMPARE_JOBS}
stage "what a frame tells of the current" "$python" -m inference.train.coupling
stage "what each costs" "$python" -m inference.train.latency
"$python" -m inference.train.comparison_page
