#!/usr/bin/env bash
# Lists the packages that build without cgo and without a C library.
set -euo pipefail
cd "$(dirname "$0")/.."
CGO_ENABLED=0 go list ./... | grep -vE '^meltwatch/(drivers/rtsp|drivers/camera|inference/tensorflow|inference/server|cmd/meltwatch-camera|cmd/bench-every|cmd/meltwatch-infer)(/|$)'
