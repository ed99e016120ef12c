#!/usr/bin/env bats
# nice.bats - what reading costs beside a writer and a compactor.
#
# Processor time, which others leave us, not time on a clock; but they do not
# leave us the caches. So it is tried three times: noise only ever adds.

load ../tools/helper

DATA=${BUILD:-$ROOT/build}/tests/bench/data

teardown() {
  [ -z "${SHM:-}" ] || rm -rf "$SHM"
}

@test "nice: beside a writer and a compactor under nice -19 a get costs at most 1.25 of alone" {
  sanitized && skip "a sanitizer is not measured"
  local out figure
  if [ -w /dev/shm ]; then
    SHM=$(mktemp -d /dev/shm/lsm-nice.XXXXXX)
    LSM_DIR=$SHM/data
  fi
  lsm-init maintenance=cron write_buffer=512K level0_runs=2 table_bytes=1M \
    table_bytes_max=1M
  "$DATA" tsv 200000 | lsm-put
  "$DATA" present 200000 500000 > keys
  for _ in 1 2 3; do
    out=$(python3 "$BATS_TEST_DIRNAME/nice.py" "$LSM_DIR" keys)
    echo "# $out" >&3
    figure=${out#*ratio=}
    # The others did work, or this says nothing.
    [ "${out#*compacted_bytes=0 }" = "$out" ] || figure=2
    awk -v r="${figure%% *}" 'BEGIN { exit r > 1.25 }' && break
    figure=
  done
  [ -n "$figure" ]
  lsm-verify
}
