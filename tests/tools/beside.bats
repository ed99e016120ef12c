#!/usr/bin/env bats
# beside.bats - compaction beside writers and readers, and kill -9 for each.

load helper

# beside STRATEGY: SEED= repeats the choices, though not what the kernel makes
# of them.
beside() {
  local seed=${SEED:-$RANDOM}
  lsm-init --strategy "$1" maintenance=cron write_buffer=16K table_bytes=16K \
    table_bytes_max=64K level0_bytes=64K job_bytes=128K level_ratio=4
  echo "# $1, SEED=$seed" >&3
  python3 "$BATS_TEST_DIRNAME/beside.py" "$LSM_DIR" "$seed" "${FULL:+2}2" \
    3>&- > told || { cat told; false; }
  echo "# $(head -n 1 told)" >&3
  lsm-flush # sweeps what those who were killed left behind
  [ "$(files | grep -c 'sst$')" -eq "$(jq '[.levels[][][]] | length' data/MANIFEST.json)" ]
  lsm-verify -q --strict
}

@test "beside: 4 writers, 4 readers, 2 compactors and kill -9: nothing is lost: leveled" {
  beside leveled
}

@test "beside: 4 writers, 4 readers, 2 compactors and kill -9: nothing is lost: tiered" {
  beside tiered
}

@test "beside: 4 writers, 4 readers, 2 compactors and kill -9: nothing is lost: lazy-leveled" {
  beside lazy-leveled
}

@test "beside: 4 writers, 4 readers, 2 compactors and kill -9: nothing is lost: unified" {
  beside unified
}
