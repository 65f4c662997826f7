#!/usr/bin/env bash
# What takes longer than a test may. Each stage writes its section of
# docs/proof.md. Usage: scripts/prove.sh [fuzzing] [kills] [model] [agree] [race] [freezes] [recordings] [own] [lives] [ledger] [soak] [package] [camera] [arm64] [instructions] [cluster];
# all of them without an argument.
set -uo pipefail
cd "$(dirname "$0")/.."
report=docs/proof.md
status=0
# Before the report itself makes the tree dirty.
version=$(git describe --tags --always --dirty)

# stage NAME TITLE COMMAND...: the command's standard output becomes the section.
stage() {
  local name=$1 title=$2 began=$SECONDS out
  shift 2
  [[ -z $wanted || " $wanted " == *" $name "* ]] || return 0
  out=$(mktemp)
  echo "prove: $title"
  "$@" | tee "$out"
  if [ "${PIPESTATUS[0]}" -eq 0 ]; then
    printf '\n%s\n' "Passed" >>"$out"
  else
    printf '\n%s\n' "**FAILED**" >>"$out"
    status=1
  fi
  truncate -s -1 "$out"
  echo " at $version on $(date -u +%F), $(nproc) cores, in $((SECONDS - began)) s." >>"$out"
  replace "$title" "$out"
  rm -f "$out"
}

# replace TITLE FILE puts a section into the report, in the place of its former one.
replace() {
  [ -f "$report" ] || printf '# Proof\n\nWritten by `make prove`, a section a stage.\n' >"$report"
  awk -v title="## $1" -v file="$2" '
    function put() { print title "\n"; while ((getline line < file) > 0) print line; done = 1 }
    $0 == title { put(); skipping = 1; next }
    /^## / && skipping { skipping = 0; print "" }
    !skipping
    END { if (!done) { print ""; put() } }' "$report" >"$report.new" && mv "$report.new" "$report"
}

fuzzing() {
  echo '```'
  scripts/fuzz.sh 1000000x 2>&1
  local result=$?
  echo '```'
  return $result
}

lives() {
  echo "\`SIM_SEEDS=${SIM_SEEDS:-1000} go test ./agent/simtest\`: simulated days of the agent's logic, and the planted bugs."
  echo
  SIM_SEEDS=${SIM_SEEDS:-1000} CGO_ENABLED=0 go test -v -timeout 3h ./agent/simtest |
    awk '/lives of a day|found with seed|seed [0-9]+: after|^(ok|FAIL)/ {sub(/^ *[a-z_]+\.go:[0-9]+: /, ""); print "- " $0}'
  return "${PIPESTATUS[0]}"
}

kills() {
  MELTWATCH_KILLS=50 CGO_ENABLED=0 go test ./agent -v -timeout 30m -run TestRandomKillsDuringRollOuts 2>&1 |
    awk '/kill_test\.go|^(ok|FAIL)/ {sub(/^ *[a-z_]+\.go:[0-9]+: /, ""); print "- " $0}'
  return "${PIPESTATUS[0]}"
}

# The whole plant under the race detector, which make test leaves to the packages' own tests.
race() {
  go test -race -timeout 30m -run 'TestFaultsAreNamedContainedAndHealed|TestModelIsRolledOut' ./agent
}

# Frozen pictures through low-bitrate encoders (FREEZES per setting), and quiet hours in
# which nothing may be called frozen (QUIET_HOURS in all).
freezes() {
  MELTWATCH_FREEZES=${FREEZES:-100} MELTWATCH_QUIET_HOURS=${QUIET_HOURS:-24} CGO_ENABLED=0 go test -v -timeout 12h \
    -run 'Freezes|Quiet' ./drivers/liveness 2>&1 |
    awk '/_test\.go:[0-9]+: |^(ok|FAIL)/ {sub(/^ *[a-z_]+\.go:[0-9]+: /, ""); print "- " $0}'
  return "${PIPESTATUS[0]}"
}

# A model trained on labelled recordings of the simulated furnace, for OWN_STEPS steps, by the
# commands that the page prints; it decides the recordings.
own() {
  MELTWATCH_TRAIN=${OWN_STEPS:-20} CGO_ENABLED=0 go test ./agent -v -timeout 1h -run 'TestModelOfLabelledRecordingsRuns' 2>&1 |
    awk '/_test\.go:[0-9]+: |^(ok|FAIL)/ {sub(/^ *[a-z_]+\.go:[0-9]+: /, ""); print "- " $0}'
  return "${PIPESTATUS[0]}"
}

# Power cuts in the file layer of the recorder.
recordings() {
  MELTWATCH_KILLS=200 CGO_ENABLED=0 go test ./agent/recorder -v -timeout 1h -run 'PowerCuts' 2>&1 |
    awk '/_test\.go:[0-9]+: |^(ok|FAIL)/ {sub(/^ *[a-z_]+\.go:[0-9]+: /, ""); print "- " $0}'
  return "${PIPESTATUS[0]}"
}

# A fleet on a real cluster whose nodes are killed, paused and parted.
cluster() {
  scripts/nats.sh >&2 && go build -o bin/bench ./cmd/bench && bin/bench cluster --agents "${CLUSTER_AGENTS:-100}" --steady 15s --fault 8s --into docs/fleet-scale.md >/dev/null || return 1
  echo "\`bench cluster\`: docs/fleet-scale.md has the tables."
}

# Both packages in a fresh Debian 12 root, and their bytes from a second build; needs root and the network.
package() {
  packaged "$(dpkg --print-architecture)" && same_bytes
}

# The packages of arm64, cross-built, under qemu-user; with CHILDREN=no the agent alone.
arm64() {
  packaged arm64
}

# What the agent and the model execute on amd64 and on arm64, counted in an emulator, and the
# model's golden vectors on arm64.
instructions() {
  {
    scripts/instructions.sh && CGO_ENABLED=0 go build -o bin/bench ./cmd/bench
  } >&2 && golden_emulated && bin/bench instructions --watch "${INSTRUCTIONS_WATCH:-60s}"
}

golden_emulated() {
  (cd inference/tensorflow && TF_CPP_MIN_LOG_LEVEL=2 TF_ENABLE_ONEDNN_OPTS=0 CI=true LD_LIBRARY_PATH='' \
    qemu-aarch64 -cpu cortex-a53 -L /usr/aarch64-linux-gnu ../../bin/arm64/golden.test -test.v -test.run TestGolden) |
    awk '/^ *--- / {sub(/^ */, ""); print "- golden vectors, arm64'"'"'s TensorFlow: " $0}'
  local result=${PIPESTATUS[0]}
  echo
  return "$result"
}

packaged() {
  local tests
  tests=$(mktemp -d)
  for command in debootstrap qemu-user-static lintian; do
    dpkg -s $command >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends $command >/dev/null || return 1
  done
  {
    make deb ARCH="$1" && CGO_ENABLED=0 go build -o bin/furnace-sim ./cmd/furnace-sim &&
      CGO_ENABLED=0 go test -c -o "$tests/agent.test" ./agent &&
      { [ "${CHILDREN:-yes}" = no ] || golden_test "$1" "$tests"; }
  } >&2 && lintian --fail-on error,warning dist/*_"$1".deb && scripts/package_test.py --architecture "$1" --tests "$tests"
  local result=$?
  rm -rf "$tests"
  return $result
}

# golden_test ARCHITECTURE FOLDER links the golden vectors' test as the package's children are.
golden_test() {
  (eval "$(scripts/cgo.sh "$1")" && go test -c -o "$2/golden.test" ./inference/tensorflow)
}

# A clone elsewhere gives the same packages.
same_bytes() {
  local clone result=0
  if ! git diff --quiet HEAD; then
    echo "- second build: left out, because the tree has changes that no commit holds"
    return 0
  fi
  clone=$(mktemp -d)
  git clone -q . "$clone/elsewhere" && ln -s "$PWD/.deps" "$clone/elsewhere/.deps" && "$clone/elsewhere/scripts/deb.sh" >&2 || result=1
  for file in dist/*_"$(dpkg --print-architecture)".*; do
    cmp "$file" "$clone/elsewhere/$file" || result=1
    [ $result -ne 0 ] || echo "- a second build in another folder gives the same $(basename "$file"), $(sha256sum "$file" | cut -c1-16)…"
  done
  rm -rf "$clone"
  return $result
}

# The camera's tests with the package's own OpenCV and FFmpeg.
camera() {
  # The path stands in the test programs alone: the ffmpeg that plays the camera has its own libraries.
  (eval "$(scripts/cgo.sh)" && CGO_LDFLAGS="$CGO_LDFLAGS -Wl,--disable-new-dtags,-rpath,$OPENCV/lib" go test -timeout 20m ./drivers/rtsp/... ./drivers/camera) |
    sed 's/^/- with the package'"'"'s OpenCV and FFmpeg: /'
  return "${PIPESTATUS[0]}"
}

wanted=$*
stage fuzzing "Fuzzing, 1,000,000 executions a target" fuzzing
stage kills "A hundred kills during roll-outs" kills
stage model "The model on data that nothing has seen" .deps/venv/bin/python -m inference.train.holdout
stage agree "Live and offline" bin/bench agree --minutes "${AGREE_MINUTES:-20}"
stage race "Every fault of the plant under the race detector" race
stage freezes "Frozen pictures and quiet hours" freezes
stage recordings "Recordings under power cuts" recordings
stage own "A model of labelled recordings" own
stage lives "Simulated lives" lives
stage ledger "The ledger" bin/bench ledger
stage soak "Soak" bin/bench soak --minutes "${SOAK_MINUTES:-20}"
stage package "The package in a fresh Debian 12" package
stage camera "The camera with the package's libraries" camera
stage cluster "A fleet on a cluster of brokers" cluster
stage arm64 "The package of arm64 under qemu-user" arm64
stage instructions "Instructions on amd64 and arm64" instructions
exit "$status"
