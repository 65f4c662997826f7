#!/usr/bin/env bash
# Builds what `bench instructions` counts with: bin/counter.so, QEMU's plugin, and arm64's agent,
# model's process and test of the golden vectors in bin/arm64. Needs amd64, `make build` before,
# root, and the network for QEMU and arm64's compiler from Debian and for TensorFlow's wheel.
# Idempotent.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(dpkg --print-architecture)" = amd64 ] || { echo "instructions: amd64 only"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for package in qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "instructions: installing ${missing[*]} from Debian"
  as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
# QEMU before 9 takes plugins of version 1.
gcc -Wall -Wextra -Werror -shared -fPIC -O2 -o bin/counter.so bench/instructions/counter/counter.c
scripts/tensorflow.sh arm64
echo "instructions: building arm64's programs (3 minutes the first time)"
tensorflow=$PWD/.deps/libtensorflow-arm64
mkdir -p bin/arm64
CGO_ENABLED=0 GOARCH=arm64 go build -o bin/arm64/ ./cmd/meltwatch
export CGO_ENABLED=1 GOARCH=arm64 CC=aarch64-linux-gnu-gcc CGO_CFLAGS="-I$tensorflow/include -O2"
export CGO_LDFLAGS="-L$tensorflow/lib -Wl,-rpath,\$ORIGIN/../../.deps/libtensorflow-arm64/lib -Wl,-rpath-link,$tensorflow/lib"
go build -o bin/arm64/ ./cmd/meltwatch-infer
go test -c -o bin/arm64/golden.test ./inference/tensorflow
