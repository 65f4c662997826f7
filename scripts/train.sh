#!/usr/bin/env bash
# Makes the committed model anew: data, training, judging, export. Called by
# `make train`, which sets what the compiler needs and builds bin/furnace-sim.
set -euo pipefail
cd "$(dirname "$0")/.."
program=train
source scripts/data.sh

echo "train: makes inference/models/product and docs/model-figures.md anew"
echo "train: about 50 minutes on two idle cores, 8 GB of memory, 26 GB below data/ and runs/"
began=$SECONDS
stage "melts to train on" data_train
stage "melts to choose thresholds on" data_val
stage "melts to report on" data_test
# 120 normal hours to choose thresholds on and 240 to report on.
stage "normal hours" dataset data/hours 34 normal 1800 0 720 0 0.3333334
stage "the senses by themselves" senses
stage "tokens" tokens train train
stage "training" "$python" -m inference.train.train --data data/train --run runs/product \
  --senses runs/senses --tokens runs/tokens/train
stage "judging" "$python" -m inference.train.calibrate --mixed data/val --test data/test --normal data/hours --run runs/product
stage "release" "$python" -m inference.train.release --data data/test --run runs/product \
  --out inference/models/product --figures docs/model-figures.md
echo "train: $((SECONDS - began)) s in all; compare Go with Python by: go test ./inference/tensorflow"
