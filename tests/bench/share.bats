#!/usr/bin/env bats
# share.bats - several lsm-compact at once share the work, and the time.
#
# --rate, not the machine, says how long one takes: 1.2 MB of tables written a
# second. Otherwise as in smooth.bats: in memory where there is /dev/shm, the
# best of three interleaved tries.

load ../tools/helper

RATE=1200K

teardown() {
  [ -z "${SHM:-}" ] || rm -rf "$SHM"
}

# Some 4 MB in two levels, the upper half as large as the lower, when it should
# be a twentieth of it.
prepare() {
  local n
  lsm-init -d base --strategy leveled maintenance=cron level_ratio=2 \
    compression=none compression_last=none table_bytes=64K \
    table_bytes_max=64K level0_bytes=64K level0_runs=2 job_bytes=256K \
    write_buffer=16K
  for n in 26000 13000; do
    seq $n | awk -v i=$n 'BEGIN { srand(i) }
      { printf "%08d\t%0100d\n", rand() * 1e8, $1 }' | lsm-put -d base
    lsm-flush -d base
    lsm-compact -d base
  done
  lsm-config -d base level_ratio=20
  lsm-scan -d base > want
}

# together N: N of them on a copy of the store, and what each must have done;
# prints how long they took, in ms.
together() {
  local i start took pids=()
  rm -rf data said.*
  cp -a base data
  start=$(date +%s%N)
  for ((i = 1; i <= $1; i++)); do
    lsm-compact -d data --rate $RATE -v > "said.$i" 3>&- & pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || return; done
  took=$((($(date +%s%N) - start) / 1000000))
  ! grep -v '^jobs=[1-9].* stopped=0$' said.* >&2 || return
  lsm-scan -d data | cmp - want >&2 || return
  lsm-verify -q -d data || return
  ! lsm-compact -d data --is-needed || return
  echo $took
}

@test "share: two take at most 0.75 of one's time, four 1.1 of two's, and all are right" {
  sanitized && skip "a sanitizer is not measured"
  local one=999999 two=999999 four=999999 took
  if [ -w /dev/shm ]; then
    SHM=$(mktemp -d /dev/shm/lsm-share.XXXXXX)
    cd "$SHM"
  fi
  prepare
  # at least four jobs, of which no two have a table in common
  lsm-compact -d base --plan | jq -e '(.jobs | length) >= 4 and
    ([.jobs[].inputs[]] | length == (unique | length))'
  for _ in 1 2 3; do
    took=$(together 1) && [ "$took" -ge "$one" ] || one=$took
    took=$(together 2) && [ "$took" -ge "$two" ] || two=$took
    took=$(together 4) && [ "$took" -ge "$four" ] || four=$took
    echo "# one $one ms, two $two, four $four" >&3
    [ $((two * 100)) -gt $((one * 75)) ] ||
      [ $((four * 100)) -gt $((two * 110)) ] || break
  done
  [ $((two * 100)) -le $((one * 75)) ]
  [ $((four * 100)) -le $((two * 110)) ]
}
