#!/bin/bash
# kill.sh - every scene of the kill harness (kill.c), $JOBS (1) at a time.
#
# With FULL=1 more second deaths are tried.  TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build}
# A leak checker cannot look at a process that is traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
kill=$BUILD/tests/crash/kill

base=/dev/shm
[ -w $base ] || base=${TMPDIR:-/tmp}
LSM_CRASH_TMP=$(mktemp -d "$base/lsm-kill.XXXXXX") || exit 1
export LSM_CRASH_TMP
trap 'rm -rf "$LSM_CRASH_TMP"' EXIT

"$kill" --list | xargs -P "${JOBS:-1}" -n 1 "$kill" ${FULL:+--full}
