#!/usr/bin/env bash
# Fine-tunes the committed model's network together with its tokenizers, and judges the
# result, below runs/finetuned. Called by `make finetune`; goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
program=finetune
source scripts/data.sh
began=$SECONDS

steps=${FINETUNE_STEPS:-1800} run=runs/finetuned train="$python -m inference.train"
echo "finetune: about 2 hours on two idle cores, 14 GB of memory, 60 GB below data/ and runs/; changes nothing else"
stage "melts to train on" data_finetune
[ -f runs/product/model.weights.h5 ] || stage "the committed network" $train.recover --run runs/product
stage "training" $train.train --config product-finetune --data data/finetune --run $run --finetune runs/product --steps "$steps"
stage "melts to judge on" data_finetune_judged
stage "normal hours" data_hours
stage "more melts to judge on" data_test
[ -f $run/result.json ] || stage "judging" $train.calibrate --mixed data/finetune-val --test data/test --normal data/hours \
  --elsewhere data/finetune-hours --learnt data/finetune-learnt --run $run
stage "judging families" $train.transfer --run $run --every 3 --out $run/houses.json \
  --data data/finetune-scene data/finetune-metal data/finetune-plates data/finetune-emission data/finetune-pinhole
echo "finetune: $run; $((SECONDS - began)) s in all. To compare, score the committed model: $train.transfer --model inference/models/product --every 3 --data data/finetune-pinhole"
