#!/usr/bin/env bash
# Leaves one family of picture and one of current out of training, for each fold, and scores what
# was trained on the families that it has not seen. Called by `make folds`; goes on where it
# stopped. FOLDS, FOLD_STEPS, FOLD_BODY_STEPS and FOLD_MELTS make it shorter.
set -euo pipefail
cd "$(dirname "$0")/.."
program=folds
source scripts/data.sh
began=$SECONDS

folds=${FOLDS:-emission metal plates scene}
senses_steps=${FOLD_STEPS:-5000} body_steps=${FOLD_BODY_STEPS:-3000} melts=${FOLD_MELTS:-120}
train="$python -m inference.train"
declare -A number=([emission]=0 [metal]=1 [plates]=2 [scene]=3)

# fold_data PICTURE: what the fold is trained, calibrated and scored on.
fold_data() {
  local at=data/fold-$1 n=${number[$1]} known left_out=(--picture "$1" --current "${fold_current[$1]}")
  read -ra known <<<"$(fold_families "$1")"
  data_fold_train "$1"
  dataset "$at-val" $((1100 + n)) hard 1800 0 60 0 0.6 "${known[@]}"
  dataset "$at-hours" $((1110 + n)) normal 1800 0 180 0 0.6666667 "${known[@]}"
  dataset "$at-test" $((1120 + n)) hard 1800 0 "$melts" 0 0 "${left_out[@]}"
  dataset "$at-quiet" $((1130 + n)) normal 1800 0 $((2 * melts)) 0 0 "${left_out[@]}"
}

# fold_train PICTURE: senses, their tokens, the body, and thresholds chosen on families that it knows.
fold_train() {
  local run=runs/fold-$1 data=data/fold-$1-mix
  [ -f "$run-senses/model.weights.h5" ] || $train.train --config senses-transfer --data "$data" --run "$run-senses" --steps "$senses_steps"
  [ -f "$run-tokens/done" ] || { $train.encode --senses "$run-senses" --data "$data" --out "$run-tokens" --splits train && touch "$run-tokens/done"; }
  [ -f "$run/model.weights.h5" ] || $train.train --config product-transfer --data "$data" --run "$run" --senses "$run-senses" --tokens "$run-tokens" --steps "$body_steps"
  [ -f "$run/result.json" ] || $train.calibrate --mixed "data/fold-$1-val" --normal "data/fold-$1-hours" --learnt "$data" --run "$run"
}

# steps_of RUN: how many steps it was trained for, which an earlier call may have chosen.
steps_of() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1] + "/config.json"))["steps"])' "$1"; }

# fold_score PICTURE: reads the fold, once for each network.
fold_score() {
  # shellcheck disable=SC2046
  [ -f "runs/fold-$1/scored" ] || { $train.left_out score --fold "$1" --run "runs/fold-$1" --ceiling inference/models/product --ceiling-normal \
    --trained $(fold_sources "$1") --data "data/fold-$1-test" --normal "data/fold-$1-quiet" \
    --note "$(steps_of "runs/fold-$1-senses") steps of the senses and $(steps_of "runs/fold-$1") of the body, one seed." && touch "runs/fold-$1/scored"; }
}

# shellcheck disable=SC2086 # a list
known_folds $folds
echo "folds: $folds; each 3 to 4 hours on two idle cores with all steps, and 15 GB below data/ and runs/"
for fold in $folds; do
  stage "$fold: data" fold_data "$fold"
  stage "$fold: training" fold_train "$fold"
  stage "$fold: scoring" fold_score "$fold"
  $train.left_out page
done
echo "folds: docs/left-out.md; $((SECONDS - began)) s in all"
