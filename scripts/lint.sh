#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.15.0
tool=.deps/bin/golangci-lint
if ! "$tool" version 2>/dev/null | grep -q "${version#v}"; then
  echo "lint: building golangci-lint $version (1-3 minutes)"
  GOBIN=$PWD/.deps/bin go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
fi
"$tool" run ./...
