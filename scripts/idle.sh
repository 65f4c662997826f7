#!/usr/bin/env bash
# Runs a command with what all others leave of the processor.
# Usage: scripts/idle.sh COMMAND [ARGUMENTS]
set -euo pipefail
if chrt --idle 0 true 2>/dev/null; then
  exec chrt --idle 0 "$@"
fi
exec nice -n 19 "$@"
