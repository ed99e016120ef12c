#!/bin/bash
# faults.sh - every case of the harness of failing syncs (faults.c), $JOBS (1) at a time.
#
# TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
# A leak checker cannot look at a process that is traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
faults=$BUILD/tests/crash/faults

base=/dev/shm
[ -w $base ] || base=${TMPDIR:-/tmp}
LSM_CRASH_TMP=$(mktemp -d "$base/lsm-faults.XXXXXX") || exit 1
export LSM_CRASH_TMP
trap 'rm -rf "$LSM_CRASH_TMP"' EXIT

"$faults" --list | xargs -P "${JOBS:-1}" -n 1 "$faults"
