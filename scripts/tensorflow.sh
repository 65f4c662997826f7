#!/usr/bin/env bash
# Puts TensorFlow's libraries, headers and licences into .deps/libtensorflow, or those of
# arm64 into .deps/libtensorflow-arm64. Idempotent.
# Usage: scripts/tensorflow.sh [amd64|arm64]; without an argument this machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$(dpkg --print-architecture)
architecture=${1:-$here}

# The wheel is TensorFlow's own binary on PyPI; the two libraries inside export
# the whole C API. The hash pins what is downloaded (see docs/adr/0002).
tensorflow=2.18.0
case $architecture in
  amd64) package=tensorflow-cpu platform=x86_64 sha256=089e71746960ea581dca53401f84b3b99c8537313e337a9e5dbf97036a936f7e ;;
  arm64) package=tensorflow platform=aarch64 sha256=85f1e7369af6d329b117b52e86093cd1e0458dd5404bf5b665853f873dd00b48 ;;
  *) echo "deps: unsupported architecture: $architecture"; exit 1 ;;
esac
out=.deps/libtensorflow strip=strip
[ "$architecture" = "$here" ] || out=$out-$architecture strip=$platform-linux-gnu-strip

say() { printf 'deps: %s\n' "$*"; }

whole() {
  [ -e $out/lib/libtensorflow_cc.so.2 ] && [ -e $out/THIRD_PARTY_NOTICES.txt ] &&
    { [ "$architecture" != arm64 ] || compgen -G "$out/lib/libomp-*.so.5" >/dev/null; }
}
if ! whole; then
  say "TensorFlow $tensorflow: downloading the pinned wheel (220 MB) and stripping its libraries (1-3 minutes)"
  rm -rf $out.new $out.wheel && mkdir -p $out.wheel $out.new/lib
  .deps/venv/bin/pip download -q --disable-pip-version-check --no-deps -d $out.wheel --only-binary=:all: \
    --python-version 3.11 --platform "manylinux2014_$platform" "$package==$tensorflow"
  wheel=$(echo $out.wheel/*.whl)
  echo "$sha256  $wheel" | sha256sum -c --quiet - || { say "the wheel's sha256 is not the pinned one; nothing was installed"; exit 1; }
  .deps/venv/bin/python - "$wheel" $out.new <<'PY'
import pathlib, sys, zipfile
wheel, out = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
for name in wheel.namelist():
    if name in ("tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2"):
        target = out / "lib" / pathlib.Path(name).name
    elif name.startswith("tensorflow.libs/libomp-"):  # on arm64 alone: libtensorflow_cc is linked with it
        target = out / "lib" / pathlib.Path(name).name
    elif name == "tensorflow/THIRD_PARTY_NOTICES.txt":
        target = out / "THIRD_PARTY_NOTICES.txt"
    elif name.startswith("tensorflow/include/") and name.endswith((".h", ".inc")) and (
        name.startswith(("tensorflow/include/tensorflow/c/", "tensorflow/include/xla/", "tensorflow/include/tsl/"))):
        target = out / name.removeprefix("tensorflow/")
    else:
        continue
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(wheel.read(name))
PY
  chmod +x $out.new/lib/*
  $strip --strip-unneeded $out.new/lib/libtensorflow_cc.so.2
  rm -rf $out
  mv $out.new $out
  rm -rf $out.wheel
else
  say "libtensorflow: present"
fi
# The binding asks for -ltensorflow and needs both libraries. A linker script gives it
# both, and no program that does not use the binding.
rm -f $out/lib/libtensorflow.so $out/lib/libtensorflow_framework.so
echo 'INPUT(libtensorflow_cc.so.2 libtensorflow_framework.so.2)' > $out/lib/libtensorflow.so
