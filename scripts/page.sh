#!/usr/bin/env bash
# Fetches what the local page needs beyond the repository: uPlot for its charts, and
# axe-core for its test. Both come from the npm registry, without npm; the hashes pin
# them. Without them everything builds, and the page says that its charts are missing.
set -uo pipefail
cd "$(dirname "$0")/.."
say() { printf 'deps: %s\n' "$*"; }

# fetch NAME VERSION SHA256 FOLDER FILE...: the files of a package, into a folder.
fetch() {
  local name=$1 version=$2 sha256=$3 folder=$4 work
  shift 4
  if [ "$(cat "$folder/.version" 2>/dev/null)" = "$version" ]; then
    say "$name $version: present"
    return 0
  fi
  say "$name $version: downloading"
  work=$(mktemp -d)
  if ! python3 - "https://registry.npmjs.org/$name/-/$name-$version.tgz" "$work/package.tgz" <<'PY'
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as answer, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(answer, out)
PY
  then
    say "$name cannot be downloaded; going on without it"
    rm -rf "$work"
    return 0
  fi
  if ! echo "$sha256  $work/package.tgz" | sha256sum -c --quiet -; then
    say "the sha256 of $name is not the pinned one; nothing was installed"
    rm -rf "$work"
    return 1
  fi
  tar xzf "$work/package.tgz" -C "$work"
  mkdir -p "$folder"
  for file in "$@"; do
    cp "$work/package/$file" "$folder/"
  done
  echo "$version" > "$folder/.version"
  rm -rf "$work"
}

fetch uplot 1.6.32 4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d \
  agent/web/static/vendor dist/uPlot.iife.min.js dist/uPlot.min.css LICENSE || exit 1
fetch axe-core 4.10.3 0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292 \
  .deps/axe-core axe.min.js || exit 1
