#!/usr/bin/env bash
# Trains and scores the main rows of the comparison on furnaces that training left out, two
# folds, and writes docs/comparison-folds.md. Called by `make compare-folds`. What was done is
# not done again, so it may be stopped at any time. FOLDS chooses folds (default "emission
# metal"), FOLD_MELTS how many melts a fold is judged on (default 40); COMPARE_ROWS and
# COMPARE_TOKENIZERS choose runs, COMPARE_JOBS how many are trained at once.
set -euo pipefail
cd "$(dirname "$0")/.."
program=compare-folds
source scripts/data.sh

declare -A judges=([emission]=991 [metal]=992) # seeds
steps=2500 # of the unimodal network, half of the release's

# fold_data PICTURE: what the fold trains on, and melts of the left-out pair.
fold_data() {
  data_fold_train "$1"
  dataset "data/judge-$1" "${judges[$1]}" hard 1800 0 "${FOLD_MELTS:-40}" 0 0 --picture "$1" --current "${fold_current[$1]}"
}

# fold_senses PICTURE: the unimodal network, unless it is trained already, be it with more steps.
fold_senses() {
  [ -f "runs/fold-$1-senses/model.weights.h5" ] ||
    "$python" -m inference.train.train --config senses-transfer --data "data/fold-$1-mix" --run "runs/fold-$1-senses" --steps "$steps"
}

folds=${FOLDS:-emission metal}
for fold in $folds; do
  [ -n "${judges[$fold]:-}" ] || { echo "compare-folds: FOLDS: $fold is unknown; name some of ${!judges[*]}" >&2; exit 2; }
done
echo "compare-folds: at most 12 CPU-hours in all, some 8 hours on two idle cores, 12 GB of memory, 20 GB below data/ and runs/; goes on where it stopped"
stage "melts to choose thresholds on" data_houses_val
stage "normal hours to choose thresholds on" dataset data/hourshouses 962 normal 1800 0 96 0 1 "${families[@]}"
for fold in $folds; do
  stage "$fold: melts without it, and of it" fold_data "$fold"
  stage "$fold: the senses by themselves" fold_senses "$fold"
  # shellcheck disable=SC2086 # lists, on purpose
  stage "$fold: training and judging" "$python" -m inference.train.compare_folds --fold "$fold" \
    ${COMPARE_ROWS:+--rows $COMPARE_ROWS} ${COMPARE_TOKENIZERS:+--tokenizers $COMPARE_TOKENIZERS} ${COMPARE_JOBS:+--jobs $COMPARE_JOBS}
done
"$python" -m inference.train.compare_folds
