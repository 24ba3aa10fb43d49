#!/bin/sh
# Runs one fuzz target for a time: run.sh BUILD SECONDS PROGRAM. What it finds is kept in BUILD/found.
set -eu
build=$1 seconds=$2 program=$3
name=${program##*/fuzz_}
found=$build/found/$name
seeds=tests/fuzz/corpus/$name
log=$build/$name.log
mkdir -p "$found"
[ -d "$seeds" ] || seeds=
# shellcheck disable=SC2086 # no seeds are no argument
if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$found/" -print_final_stats=0 "$found" $seeds >"$log" 2>&1; then
    echo "fuzz: $name ok, $(grep "^Done" "$log" | tail -n 1)"
else
    echo "fuzz: $name FAILED"
    tail -n 40 "$log"
    exit 1
fi
