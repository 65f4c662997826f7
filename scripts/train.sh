#!/usr/bin/env bash
# Makes the committed model anew: data, training, judging, export. Called by
# `make train`, which sets what the compiler needs and builds bin/furnace-sim.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.deps/venv/bin/python
export PYTHONHASHSEED=0 TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2}

echo "train: makes inference/models/product and docs/model-figures.md anew"
echo "train: about 20 minutes on two idle cores, 6 GB of memory, 10 GB below data/"
began=$SECONDS

stage() {
  local start=$SECONDS
  echo "train: $1"
  shift
  "$@"
  echo "train: took $((SECONDS - start)) s"
}

# made FOLDER SEED LIFE SECONDS REROLLS BATCHES: whether the folder holds this data
# set whole; dataset.json is written last.
made() {
  "$python" - "$@" <<'CHECK'
import json, sys
folder, seed, life, seconds, reroll, batches = sys.argv[1:]
try:
    with open(folder + "/dataset.json") as file:
        d = json.load(file)
except FileNotFoundError:
    sys.exit(1)
have = (d["seed"], d["life"], d["seconds"], d["reroll"], len(d["batches"]))
sys.exit(have != (int(seed), life, int(seconds), int(reroll), int(batches)))
CHECK
}

# dataset FOLDER SEED LIFE SECONDS REROLLS BATCHES TRAIN VAL
dataset() {
  if made "${@:1:6}"; then
    echo "train: $1 is there already"
    return
  fi
  rm -rf "$1"
  bin/furnace-sim dataset --out "$1" --seed "$2" --life "$3" --seconds "$4" --reroll "$5" \
    --batches "$6" --train "$7" --val "$8" | tr '\r' '\n' | tail -n 1
}

# 100 batches to train on, 14 to choose thresholds on, 22 to report on.
stage "mixed batches" dataset data/train 11 mixed 1800 6 136 0.7353 0.1029
# 60 normal hours to choose on and 60 to report on.
stage "normal hours" dataset data/normal 12 normal 1800 0 240 0 0.5
# Nothing glows in normal hours: their masks are 1.8 GB of zeros.
rm -f data/normal/videos/*_mask.npy
stage "training" "$python" -m inference.train.train --data data/train --run runs/product
stage "judging" "$python" -m inference.train.judge --mixed data/train --normal data/normal --run runs/product
stage "release" "$python" -m inference.train.release --data data/train --run runs/product \
  --out inference/models/product --figures docs/model-figures.md
echo "train: $((SECONDS - began)) s in all; compare Go with Python by: go test ./inference/tensorflow"
