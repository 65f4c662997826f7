#!/usr/bin/env bash
# Installs what a bare Debian 12 with Go, Python 3.11 and git lacks. Idempotent:
# a second run checks and returns within seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

apt_packages=(libopencv-dev ffmpeg mosquitto mosquitto-clients python3-venv pkg-config g++ systemd ca-certificates)

say() { printf 'deps: %s\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for p in "${apt_packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing from Debian (1-4 minutes): ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get update -qq
  # A large first install can stop half way on a dependency; fixing and repeating cures it.
  as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    { as_root apt-get -f install -y -qq >/dev/null; as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }
  # Debian starts the broker as a service; tests start their own.
else
  say "Debian packages: present"
fi

python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  { say "Python 3.11 is needed (found $("$python" -V)); set PYTHON=/path/to/python3.11"; exit 1; }
# Debian's Python comes without pip; an environment of its own has one.
pip=.deps/venv/bin/pip
[ -x "$pip" ] || { rm -rf .deps/venv; "$python" -m venv .deps/venv; }

scripts/tensorflow.sh

if [ "${1:-}" = --python ]; then
  want=$(sha256sum inference/train/requirements.txt | cut -d' ' -f1)
  if [ "$(cat .deps/venv/.requirements 2>/dev/null)" != "$want" ]; then
    say "Python packages for training and its tests into .deps/venv (1-3 minutes)"
    "$pip" install -q --disable-pip-version-check -r inference/train/requirements.txt
    echo "$want" > .deps/venv/.requirements
  else
    say "Python packages: present"
  fi
fi
scripts/page.sh
say "ready"
