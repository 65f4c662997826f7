#!/usr/bin/env bash
# Makes the committed model anew: data, training, judging, export. Called by
# `make train`, which sets what the compiler needs and builds bin/furnace-sim.
set -euo pipefail
cd "$(dirname "$0")/.."
program=train
source scripts/data.sh

echo "train: makes inference/models/product and docs/model-figures.md anew"
echo "train: about 5 hours on two idle cores by the sum of its stages, 14 GB of memory, 92 GB below data/ and runs/"
began=$SECONDS
if [ -f runs/product/config.json ] && ! grep -q '"product-baseline"' runs/product/config.json; then
  echo "train: runs/product is of an earlier release; rename it, to runs/again if it is of 0.4.4" >&2
  exit 2
fi
stage "melts to train on" data_houses_train
stage "training" "$python" -m inference.train.train --config product-transfer --data data/mix --run runs/body
stage "melts to fine-tune on" data_finetune
stage "fine-tuning" "$python" -m inference.train.train --config product-finetune --data data/finetune --finetune runs/body --run runs/finetuned
stage "melts to fine-tune on once more" data_finetune_again
stage "fine-tuning once more" "$python" -m inference.train.train --config product-finetune-again --data data/again --finetune runs/finetuned --run runs/again
stage "melts to fine-tune on with a baseline of the current" data_baseline
stage "fine-tuning with a baseline of the current" "$python" -m inference.train.train --config product-baseline --data data/baseline --finetune runs/again --run runs/product
stage "melts to choose thresholds on" data_finetune_val
stage "melts to calibrate the clock offset on" data_houses_val
stage "melts to report on" data_test
stage "melts of other families to report on" data_houses_test
stage "melts of an unseen pair to report on" data_unseen
stage "normal hours" data_hours
stage "judging" "$python" -m inference.train.calibrate --mixed data/finetune-val --test data/test --normal data/hours --elsewhere data/hourseight \
  --learnt data/baseline --run runs/product
# With the later families among them the confidence would hardly ever be reached (docs/transfer-earlier.md).
stage "the clock offset" "$python" -m inference.train.calibrate --offset-alone --mixed data/valmix --test data/test --run runs/product
stage "judging other families" "$python" -m inference.train.transfer --run runs/product --every 3 --out runs/houses.json \
  --data data/house-scene data/house-metal data/house-plates data/house-emission data/house-pinhole data/house-spray data/house-nightcam data/house-analogue
stage "judging an unseen pair" "$python" -m inference.train.transfer --run runs/product --every 5 --out runs/unseen.json --data data/relief --normal data/relief-quiet
stage "release" "$python" -m inference.train.release --data data/test --run runs/product --houses runs/houses.json \
  --name product --out inference/models/product --figures docs/model-figures.md
echo "train: $((SECONDS - began)) s in all; compare Go with Python by: go test ./inference/tensorflow"
