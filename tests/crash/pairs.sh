#!/bin/bash
# pairs.sh - every pair of the two-process harness (pairs.c), $JOBS (1) at a time.
#
# With FULL=1 both processes are stopped on their way.  TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
# A leak checker cannot look at a process that is traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
pairs=$BUILD/tests/crash/pairs

base=/dev/shm
[ -w $base ] || base=${TMPDIR:-/tmp}
LSM_CRASH_TMP=$(mktemp -d "$base/lsm-pairs.XXXXXX") || exit 1
export LSM_CRASH_TMP
trap 'rm -rf "$LSM_CRASH_TMP"' EXIT

"$pairs" --list | xargs -P "${JOBS:-1}" -n 1 "$pairs" ${FULL:+--full}
