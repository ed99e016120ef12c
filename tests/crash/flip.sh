#!/bin/bash
# flip.sh - each bit of a store turned in turn (flip.c).  TAP on stdout.
cd "$(dirname "$0")/../.." || exit 1
exec "${BUILD:-build}/tests/crash/flip"
