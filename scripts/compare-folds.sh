#!/usr/bin/env bash
# Trains and scores the main rows of the comparison on furnaces that training left out, two
# folds, and writes docs/comparison-folds.md. Called by `make compare-folds`. What was done is
# not done again, so it may be stopped at any time. FOLDS chooses folds (default "emission
# metal"), FOLD_MELTS how many melts a fold is judged on (default 40); COMPARE_ROWS and
# COMPARE_TOKENIZERS choose runs.
set -euo pipefail
cd "$(dirname "$0")/.."
program=compare-folds
source scripts/data.sh

declare -A trains=([emission]=952 [metal]=953) judges=([emission]=991 [metal]=992)
steps=2500 # of the unimodal network, half of the release's

echo "compare-folds: at most 12 CPU-hours in all, some 8 hours on two idle cores, 12 GB of memory, 20 GB below data/ and runs/; goes on where it stopped"
stage "melts to choose thresholds on" data_houses_val
stage "normal hours to choose thresholds on" data_hours_houses
for fold in ${FOLDS:-emission metal}; do
  senses=runs/folds/$fold/senses
  stage "melts without $fold, and of it" data_fold "$fold" "${trains[$fold]}" "${judges[$fold]}" "${FOLD_MELTS:-40}"
  stage "the senses by themselves, without $fold" "$python" -m inference.train.train \
    --config senses-transfer --data "data/foldmix-$fold" --run "$senses" --steps "$steps"
  # shellcheck disable=SC2086 # lists, on purpose
  stage "training and judging, without $fold" "$python" -m inference.train.compare_folds --fold "$fold" \
    --data "data/foldmix-$fold" --val data/valmix --normal data/hourshouses --judge "data/judge-$fold" \
    ${COMPARE_ROWS:+--rows $COMPARE_ROWS} ${COMPARE_TOKENIZERS:+--tokenizers $COMPARE_TOKENIZERS}
done
"$python" -m inference.train.compare_folds
