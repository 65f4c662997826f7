#!/usr/bin/env bash
# Installs what a bare Debian 12 with Go, Python 3.11 and git lacks. Idempotent:
# a second run checks and returns within seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

# The wheel is TensorFlow's own binary on PyPI; the two libraries inside export
# the whole C API. The hash pins what is downloaded (see docs/adr/0002).
tensorflow=2.18.0
case "$(uname -m)" in
  x86_64) package=tensorflow-cpu; sha256=089e71746960ea581dca53401f84b3b99c8537313e337a9e5dbf97036a936f7e ;;
  *) package=tensorflow; sha256= ;;
esac
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

if [ ! -e .deps/libtensorflow/lib/libtensorflow_cc.so.2 ]; then
  say "TensorFlow $tensorflow: downloading the pinned wheel (220 MB) and stripping its libraries (1-3 minutes)"
  rm -rf .deps/libtensorflow .deps/wheel && mkdir -p .deps/wheel .deps/libtensorflow.new/lib
  "$pip" download -q --disable-pip-version-check --no-deps -d .deps/wheel "$package==$tensorflow"
  wheel=$(echo .deps/wheel/*.whl)
  if [ -n "$sha256" ]; then
    echo "$sha256  $wheel" | sha256sum -c --quiet - || { say "the wheel's sha256 is not the pinned one; nothing was installed"; exit 1; }
  else
    say "no hash is pinned for $(uname -m) yet; pip checked the index's own"
  fi
  "$python" - "$wheel" .deps/libtensorflow.new <<'PY'
import pathlib, sys, zipfile
wheel, out = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
for name in wheel.namelist():
    if name in ("tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2"):
        target = out / "lib" / pathlib.Path(name).name
    elif name.startswith("tensorflow/include/") and name.endswith((".h", ".inc")) and (
        name.startswith(("tensorflow/include/tensorflow/c/", "tensorflow/include/xla/", "tensorflow/include/tsl/"))):
        target = out / name.removeprefix("tensorflow/")
    else:
        continue
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(wheel.read(name))
PY
  chmod +x .deps/libtensorflow.new/lib/*
  strip --strip-unneeded .deps/libtensorflow.new/lib/libtensorflow_cc.so.2
  mv .deps/libtensorflow.new .deps/libtensorflow
  rm -rf .deps/wheel
else
  say "libtensorflow: present"
fi
# The binding asks for -ltensorflow and needs both libraries. A linker script gives it
# both, and no program that does not use the binding.
rm -f .deps/libtensorflow/lib/libtensorflow.so .deps/libtensorflow/lib/libtensorflow_framework.so
echo 'INPUT(libtensorflow_cc.so.2 libtensorflow_framework.so.2)' > .deps/libtensorflow/lib/libtensorflow.so

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
