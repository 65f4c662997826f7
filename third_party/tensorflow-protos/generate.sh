#!/usr/bin/env bash
# Writes the three packages again from the .proto files beside it. Needs protoc
# (Debian: protobuf-compiler) and
#   go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.6
set -euo pipefail
cd "$(dirname "$0")"
protoc --go_out=. --go_opt=module=github.com/tensorflow/tensorflow/tensorflow/go/core ./*.proto
gofmt -w framework protobuf
