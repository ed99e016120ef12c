#!/bin/bash
# power.sh - the power loss harness (power.c).
#
# With FULL=1 longer workloads, of several seeds.  TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
power=${BUILD:-build}/tests/crash/power

if [ -z "${FULL:-}" ]; then
	exec "$power"
fi
for seed in 0 1 2 3; do
	"$power" -s $seed -n 120 -r 20 -a 500 -m 60000
done
