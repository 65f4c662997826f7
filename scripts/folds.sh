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
declare -A current=([scene]=arcs [metal]=arclength [plates]=regimes [emission]=autoregressive)
declare -A number=([emission]=0 [metal]=1 [plates]=2 [scene]=3)

# without LIST WORD: the comma-separated list without the word.
without() { echo "$1" | tr , '\n' | grep -vx "$2" | paste -sd ,; }

# fold_data PICTURE CURRENT NUMBER: what the fold is trained, calibrated and judged on.
fold_data() {
  local at=data/fold-$1 of=(--picture "$(without "${families[1]}" "$1")" --current "$(without "${families[3]}" "$2")")
  dataset "$at" $((952 + $3)) hard 900 2 300 1 0 "${of[@]}"
  dataset "$at-val" $((1100 + $3)) hard 1800 0 60 0 0.6 "${of[@]}"
  dataset "$at-hours" $((1110 + $3)) normal 1800 0 180 0 0.6666667 "${of[@]}"
  dataset "$at-test" $((1120 + $3)) hard 1800 0 "$melts" 0 0 --picture "$1" --current "$2"
  dataset "$at-quiet" $((1130 + $3)) normal 1800 0 $((2 * melts)) 0 0 --picture "$1" --current "$2"
}

# fold_sources PICTURE: the data sets that the fold is trained on. Its own house is the family scene.
fold_sources() { if [ "$1" = scene ]; then echo "data/fold-$1"; else echo "data/home data/fold-$1"; fi; }

# fold_train PICTURE: senses, their tokens, the body, and thresholds chosen on families that it knows.
fold_train() {
  local run=runs/fold-$1 data=data/fold-$1-mix
  # shellcheck disable=SC2046 # a list of folders
  [ -d "$data" ] || joined "$data" $(fold_sources "$1")
  [ -f "$run-senses/model.weights.h5" ] || $train.train --config senses-transfer --data "$data" --run "$run-senses" --steps "$senses_steps"
  [ -f "$run-tokens/done" ] || { $train.encode --senses "$run-senses" --data "$data" --out "$run-tokens" --splits train && touch "$run-tokens/done"; }
  [ -f "$run/model.weights.h5" ] || $train.train --config product-transfer --data "$data" --run "$run" --senses "$run-senses" --tokens "$run-tokens" --steps "$body_steps"
  [ -f "$run/result.json" ] || $train.calibrate --mixed "data/fold-$1-val" --normal "data/fold-$1-hours" --learnt "$data" --run "$run"
}

# fold_score PICTURE: reads the fold, once for each network.
fold_score() {
  # shellcheck disable=SC2046
  [ -f "runs/fold-$1/scored" ] || { $train.left_out score --fold "$1" --run "runs/fold-$1" --ceiling inference/models/product --ceiling-normal \
    --trained $(fold_sources "$1") --data "data/fold-$1-test" --normal "data/fold-$1-quiet" \
    --note "$senses_steps steps of the senses and $body_steps of the body, one seed." && touch "runs/fold-$1/scored"; }
}

echo "folds: $folds; each 3 to 4 hours on two idle cores with all steps, and 15 GB below data/ and runs/"
for fold in $folds; do
  [ -n "${current[$fold]:-}" ] || { echo "folds: FOLDS: $fold is unknown; name some of ${!current[*]}" >&2; exit 2; }
done
[ "$folds" = scene ] || stage "melts of the own house" dataset data/home 31 mixed 900 4 130 1 0
for fold in $folds; do
  stage "$fold: data" fold_data "$fold" "${current[$fold]}" "${number[$fold]}"
  stage "$fold: training" fold_train "$fold"
  stage "$fold: scoring" fold_score "$fold"
  $train.left_out page
done
echo "folds: docs/left-out.md; $((SECONDS - began)) s in all"
