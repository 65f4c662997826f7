#!/usr/bin/env bash
# Builds nats-server at a pinned version, the clustered broker that `bench cluster` runs,
# into bin/ (1-3 minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.15.3
target=$PWD/bin/nats-server
"$target" --version 2>/dev/null | grep -q "${version}" && exit 0
echo "nats: building nats-server $version (1-3 minutes)"
cd /
folder=$(GOFLAGS=-mod=mod go mod download -json "github.com/nats-io/nats-server/v2@$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
cd "$folder"
CGO_ENABLED=0 go build -o "$target" .
