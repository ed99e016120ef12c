#!/usr/bin/env bats
# smooth.bats - a steady writer beside the compaction it starts.
#
# In memory where there is /dev/shm: a disk that takes its time over one fsync
# says nothing about us. Tried three times: noise only ever adds.

load ../tools/helper

teardown() {
  [ -z "${SHM:-}" ] || rm -rf "$SHM"
}

# smooth STRATEGY: no put waits longer than the longest job, and level 0 stays
# near its hard limit of 12 runs.
smooth() {
  local out put_max job_max runs_max
  LSM_DIR=$PWD/data
  if [ -w /dev/shm ]; then
    SHM=$(mktemp -d /dev/shm/lsm-smooth.XXXXXX)
    LSM_DIR=$SHM/data
  fi
  for _ in 1 2 3; do
    rm -rf "$LSM_DIR"
    lsm-init --strategy "$1" --compression none write_buffer=256K \
      table_bytes=1M table_bytes_max=4M job_bytes=16M
    out=$(python3 "$BATS_TEST_DIRNAME/smooth.py" "$LSM_DIR" 20000 1000)
    echo "# $1: $out" >&3
    put_max=${out#*put_max=} job_max=${out#*job_max=} runs_max=${out##*=}
    [ "${out#*tables_merged=0 }" = "$out" ]
    awk -v p="${put_max%% *}" -v j="${job_max%% *}" -v r="$runs_max" \
      'BEGIN { exit !(p <= j && r <= 18) }' && break
    runs_max=
  done
  [ -n "$runs_max" ]
  run ! pgrep -f -- "-d $LSM_DIR"
  [ "$(lsm-scan --count)" -gt 19000 ]
  lsm-verify
}

@test "smooth: no put waits longer than the longest job: leveled" {
  sanitized && skip "a sanitizer is not measured"
  smooth leveled
}

@test "smooth: no put waits longer than the longest job: tiered" {
  sanitized && skip "a sanitizer is not measured"
  smooth tiered
}

@test "smooth: no put waits longer than the longest job: lazy-leveled" {
  sanitized && skip "a sanitizer is not measured"
  smooth lazy-leveled
}

@test "smooth: no put waits longer than the longest job: unified" {
  sanitized && skip "a sanitizer is not measured"
  smooth unified
}
