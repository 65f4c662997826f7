#!/usr/bin/env bash
# Builds Telegraf at a pinned version, with the parts that `bench outage` and `bench performance`
# compare us with, into bin/ (1-5 minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
version=v1.34.4
target=$PWD/bin/telegraf
tags=custom,inputs.modbus,outputs.mqtt,inputs.internal,outputs.file,serializers.json,serializers.influx,parsers.influx
"$target" version 2>/dev/null | grep -q "${version#v}" && exit 0
echo "telegraf: building $version into bin/, to be measured beside us (1-5 minutes, once)"
cd /
folder=$(GOFLAGS=-mod=mod go mod download -json "github.com/influxdata/telegraf@$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
cd "$folder"
CGO_ENABLED=0 go build -tags "$tags" -ldflags "-X github.com/influxdata/telegraf/internal.Version=${version#v}" -o "$target" ./cmd/telegraf
