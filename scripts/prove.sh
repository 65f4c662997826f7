#!/usr/bin/env bash
# What takes longer than a test may. Each stage writes its section of
# docs/proof.md. Usage: scripts/prove.sh [fuzzing] [kills] [model] [agree] [race] [freezes] [recordings] [lives] [ledger] [soak] [package];
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

# Power cuts in the file layer of the recorder.
recordings() {
  MELTWATCH_KILLS=200 CGO_ENABLED=0 go test ./agent/recorder -v -timeout 1h -run 'PowerCuts' 2>&1 |
    awk '/_test\.go:[0-9]+: |^(ok|FAIL)/ {sub(/^ *[a-z_]+\.go:[0-9]+: /, ""); print "- " $0}'
  return "${PIPESTATUS[0]}"
}

# Both packages in a fresh Debian 12 root; needs root and the network.
package() {
  for command in debootstrap patchelf; do
    command -v $command >/dev/null || apt-get install -y -qq --no-install-recommends $command >/dev/null || return 1
  done
  make deb >&2 && scripts/package_test.py
}

wanted=$*
stage fuzzing "Fuzzing, 1,000,000 executions a target" fuzzing
stage kills "A hundred kills during roll-outs" kills
stage model "The model on data that nothing has seen" .deps/venv/bin/python -m inference.train.holdout
stage agree "Live and offline" bin/bench agree --minutes "${AGREE_MINUTES:-20}"
stage race "Every fault of the plant under the race detector" race
stage freezes "Frozen pictures and quiet hours" freezes
stage recordings "Recordings under power cuts" recordings
stage lives "Simulated lives" lives
stage ledger "The ledger" bin/bench ledger
stage soak "Soak" bin/bench soak --minutes "${SOAK_MINUTES:-20}"
stage package "The package in a fresh Debian 12" package
exit "$status"
