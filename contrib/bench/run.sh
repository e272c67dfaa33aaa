#!/bin/sh
# `make bench`: lighterman beside the peers found in PATH. Arguments go to bench.py; --list names the workloads.
set -eu
exec python3 "$(dirname "$0")/bench.py" "$@"
