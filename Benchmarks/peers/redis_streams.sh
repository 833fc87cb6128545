#!/usr/bin/env bash
# redis_streams.sh - durable steps of Redis streams (appendfsync always) on this machine, to put beside those of run.py.
#
# Run:  scripts/install-needs peers && Benchmarks/peers/redis_streams.sh [WORK_DIR=.build/bench] [SECONDS=3] [RUNS=3]
# Starts a redis-server of its own on a free port of 127.0.0.1 with its data in WORK_DIR, which must be on the disk to
# be measured, and stops it at the end. Prints the median of steps/s and of each step's p50 and p99.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${1:-$here/../../.build/bench}
seconds=${2:-3} runs=${3:-3}
mkdir -p "$work/redis" "$work/bin"
work=$(cd "$work" && pwd)
g++ -std=c++17 -O2 -pthread -I"$here/.." -o "$work/bin/redis_streams" "$here/redis_streams.cpp" -lhiredis

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --bind 127.0.0.1 --port "$port" --dir "$work/redis" --daemonize no --save "" \
    --appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0 >"$work/redis/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true; rm -rf "$work/redis"' EXIT
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$server" || { cat "$work/redis/log" >&2; exit 1; }
    sleep 0.1
done

redis-server --version
for connections in 1 16 64; do
    for _ in $(seq "$runs"); do "$work/bin/redis_streams" "$port" "$connections" "$seconds"; done |
        python3 -c '
import json, statistics, sys
runs = [json.loads(line) for line in sys.stdin]

def median(*keys):
    values = []
    for value in runs:
        for key in keys:
            value = value[key]
        values.append(value)
    return statistics.median(values)

print("%3d connections: %8.0f steps/s" % (runs[0]["connections"], median("steps_per_s")), end="")
for step in ("add", "claim", "complete"):
    print("   %s p50 %.0f p99 %.0f us" % (step, median(step, "p50_us"), median(step, "p99_us")), end="")
print()'
done
