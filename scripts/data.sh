# The simulated data sets and the training stages, for train.sh and compare.sh; sourced by both.
python=.deps/venv/bin/python
export PYTHONHASHSEED=0 TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2}

stage() {
  local start=$SECONDS
  echo "$program: $1"
  shift
  "$@"
  echo "$program: took $((SECONDS - start)) s"
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

# dataset FOLDER SEED LIFE SECONDS REROLLS BATCHES TRAIN VAL [FLAGS…]
dataset() {
  if made "${@:1:6}"; then
    echo "$program: $1 is there already"
    return
  fi
  rm -rf "$1"
  bin/furnace-sim dataset --out "$1" --seed "$2" --life "$3" --seconds "$4" --reroll "$5" \
    --batches "$6" --train "$7" --val "$8" "${@:9}" | tr '\r' '\n' | tail -n 1
  # Nothing glows in normal hours: their masks would be gigabytes of zeros.
  if [ "$3" = normal ]; then rm -f "$1"/videos/*_mask.npy; fi
}

# 240 melts to train on, each with six further currents. The other 40 chose thresholds once;
# data_val has its own now, and they are dealt as before so that the 240 stay the same.
data_train() { dataset data/train 31 mixed 900 6 280 0.857143 0.142857; }

# The simulator's families of picture and of current, any with any.
families=(--picture scene,metal,plates,emission --current arcs,arclength,regimes,autoregressive)

# With the pair that was sealed until release 0.4.2 had been judged on it.
five_families=(--picture scene,metal,plates,emission,pinhole --current arcs,arclength,regimes,autoregressive,impedance)

# With the pair that was unseen until release 0.4.3 had been judged on it.
six_families=(--picture scene,metal,plates,emission,pinhole,spray --current arcs,arclength,regimes,autoregressive,impedance,feedback)

# With the pairs that were unseen until release 0.4.4 had been judged on them.
eight_families=(--picture scene,metal,plates,emission,pinhole,spray,nightcam,analogue
  --current arcs,arclength,regimes,autoregressive,impedance,feedback,conductance,selfexciting)

# joined FOLDER SOURCES…: several data sets in one.
joined() {
  rm -rf "$1"
  "$python" -m inference.train.join --out "$@"
}

# 130 melts of the own house and 400 of all families, whose episodes often show in one sense only.
data_houses_train() {
  dataset data/home 31 mixed 900 4 130 1 0
  dataset data/houses 951 hard 900 4 400 1 0 "${families[@]}"
  joined data/mix data/home data/houses
}
# What fine-tuning trains on: 400 melts of four families, 100 of the own house, 200 of five families.
data_finetune() {
  dataset data/finetune-four 2010 hard 900 4 400 1 0 "${families[@]}"
  dataset data/finetune-home 2011 mixed 900 4 100 1 0
  dataset data/finetune-five 2020 hard 900 4 200 1 0 "${five_families[@]}"
  joined data/finetune data/finetune-four data/finetune-home data/finetune-five
}
# What is then fine-tuned on: 560 melts of six families and 140 of the own house.
data_finetune_again() {
  dataset data/again-six 2040 hard 900 4 560 1 0 "${six_families[@]}"
  dataset data/again-home 2041 mixed 900 4 140 1 0
  joined data/again data/again-home data/again-six
}
# What is fine-tuned on last, with a baseline of the current: 640 melts of eight families, 140 of the own house, and 160
# quarter hours of normal work of the eight.
data_baseline() {
  dataset data/baseline-eight 2601 hard 900 4 640 1 0 "${eight_families[@]}"
  dataset data/baseline-home 2602 mixed 900 4 140 1 0
  dataset data/baseline-normal 2605 normal 900 4 160 1 0 "${eight_families[@]}"
  joined data/baseline data/baseline-eight data/baseline-home data/baseline-normal
}
# Melts to choose the thresholds on: half an hour each.
data_finetune_val() {
  dataset data/valhome 35 mixed 1800 0 40 0 1
  dataset data/valeight 2603 hard 1800 0 40 0 1 "${eight_families[@]}"
  joined data/finetune-val data/valhome data/valeight
}
# Melts of each of eight pairs of families to report on; of the first four, those that 0.4.0 was reported on.
data_houses_test() {
  local pair
  for pair in scene:arcs metal:arclength plates:regimes emission:autoregressive; do
    dataset "data/house-${pair%:*}" 971 hard 1800 0 20 0 0 --picture "${pair%:*}" --current "${pair#*:}"
  done
  dataset data/house-pinhole 2071 hard 1800 0 20 0 0 --picture pinhole --current impedance
  dataset data/house-spray 2101 hard 1800 0 40 0 0 --picture spray --current feedback
  dataset data/house-nightcam 2401 hard 1800 0 24 0 0 --picture nightcam --current conductance
  dataset data/house-analogue 2501 hard 1800 0 40 0 0 --picture analogue --current selfexciting
}
# Melts and normal hours of a pair that no training has seen.
data_unseen() {
  dataset data/relief 2701 hard 1800 0 100 0 0 --picture relief --current relaxation
  dataset data/relief-quiet 2702 normal 1800 0 120 0 0 --picture relief --current relaxation
}

# What a fold leaves out, a picture and its current, and the seed of what it trains on.
declare -A fold_current=([scene]=arcs [metal]=arclength [plates]=regimes [emission]=autoregressive)
declare -A fold_seed=([emission]=952 [metal]=953 [plates]=954 [scene]=955)

# without LIST WORD: the comma-separated list without the word.
without() { echo "$1" | tr , '\n' | grep -vx "$2" | paste -sd ,; }

# fold_families PICTURE: the simulator's options for the families that the fold has.
fold_families() { echo --picture "$(without "${families[1]}" "$1")" --current "$(without "${families[3]}" "${fold_current[$1]}")"; }

# fold_sources PICTURE: the data sets that the fold trains on. The own house is of the family scene.
fold_sources() { if [ "$1" = scene ]; then echo "data/fold-$1"; else echo "data/home data/fold-$1"; fi; }

# shellcheck disable=SC2046 # lists, on purpose
data_fold_train() {
  [ "$1" = scene ] || dataset data/home 31 mixed 900 4 130 1 0
  dataset "data/fold-$1" "${fold_seed[$1]}" hard 900 2 300 1 0 $(fold_families "$1")
  [ -f "data/fold-$1-mix/dataset.json" ] || joined "data/fold-$1-mix" $(fold_sources "$1")
}

# known_folds NAMES…: ends the script for a fold that is unknown.
known_folds() {
  local fold
  for fold in "$@"; do
    [ -n "${fold_current[$fold]:-}" ] || { echo "$program: FOLDS: $fold is unknown; name some of ${!fold_current[*]}" >&2; exit 2; }
  done
}

# Melts to choose thresholds on: half an hour each.
data_houses_val() {
  dataset data/valhome 35 mixed 1800 0 40 0 1
  dataset data/valhouses 961 hard 1800 0 32 0 1 "${families[@]}"
  joined data/valmix data/valhome data/valhouses
}
# Normal hours: 120 of the own house and 48 of eight families to choose thresholds on, 240 of
# the own house to report on.
data_hours() {
  dataset data/hours 34 normal 1800 0 720 0 0.3333334
  dataset data/hourseight 2604 normal 1800 0 96 0 1 "${eight_families[@]}"
}
# 60 melts to choose thresholds on: a hundred onsets, so that a threshold is not luck.
data_val() { dataset data/val 35 mixed 1800 0 60 0 1; }
# 180 melts to report on, some 330 onsets.
data_test() { dataset data/test 32 mixed 1800 0 180 0 0; }

# The senses, their bank of units, and the tokens of the training batches.
senses() {
  if [ ! -f runs/senses/model.weights.h5 ]; then
    "$python" -m inference.train.train --config senses --data data/train --run runs/senses
  fi
}

# tokens DATA SPLITS…: of a data set, once.
tokens() {
  local done="runs/tokens/$1/done-${*:2}"
  if [ ! -f "$done" ]; then
    "$python" -m inference.train.encode --senses runs/senses --data "data/$1" --out "runs/tokens/$1" --splits "${@:2}"
    touch "$done"
  fi
}

# The first test batches in each scene of inference/train/data/scenes.py.
scenes() {
  if [ ! -f runs/tokens/done-scenes ]; then
    "$python" -m inference.train.encode --senses runs/senses --data data/test --out runs/tokens/test --scenes 24
    touch runs/tokens/done-scenes
  fi
}
