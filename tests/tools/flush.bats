#!/usr/bin/env bats
# lsm-flush.1

load helper

tables() {
  files | grep -c 'sst$' || true
}

@test "flush: brings the log into a table, and nothing changes for readers" {
  printf 'a\t1\nb\t2\n' | lsm-put
  [ "$(tables)" -eq 0 ]
  lsm-flush
  [ "$(tables)" -eq 1 ]
  [ "$(lsm-scan)" = $'a\t1\nb\t2' ]
  [ "$(lsm-get a)" = 1 ]
}

@test "flush: with nothing to do is status 0 and writes no table" {
  lsm-init
  lsm-flush
  lsm-put k v
  lsm-flush
  lsm-flush
  [ "$(tables)" -eq 1 ]
}

@test "flush: --is-needed answers by its status and does nothing" {
  lsm-init
  run -1 --separate-stderr lsm-flush --is-needed
  [ -z "$output$stderr" ]
  lsm-put k v
  run -0 --separate-stderr lsm-flush --is-needed
  [ -z "$output$stderr" ]
  [ "$(tables)" -eq 0 ]
  lsm-flush
  run -1 lsm-flush --is-needed
}

@test "flush: several at once, with writers, lose nothing" {
  local i pids=()
  lsm-init
  for i in 1 2 3; do
    seq -f "$i-%05.0f" 3000 | sed 's/$/\tv/' | lsm-put 3>&- & pids+=($!)
    for _ in 1 2 3; do lsm-flush || exit; done 3>&- & pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
  lsm-flush
  [ "$(lsm-scan --count)" -eq 9000 ]
}

@test "flush: sweeps the logs it emptied" {
  lsm-put k v
  files > before
  lsm-flush
  lsm-flush
  for log in $(grep 'wal$' before); do
    [ ! -e "data/$log" ]
  done
}

@test "flush: on a full disk is status 73 and the data stays" {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  cat > small.sh <<'SH'
mkdir m && mount -t tmpfs -o size=3m none m || exit 99
export LSM_DIR=m/data
head -c 1500000 /dev/urandom | lsm-put k - || exit 1
sum=$(lsm-get k | cksum)
head -c 1400000 /dev/zero > m/fill || exit 2
lsm-flush
[ $? -eq 73 ] || exit 3
[ "$(lsm-get k | cksum)" = "$sum" ] || exit 4
rm m/fill
lsm-flush || exit 5
[ "$(lsm-get k | cksum)" = "$sum" ] || exit 6
SH
  run --separate-stderr unshare -m bash small.sh
  [ "$status" -ne 99 ] || skip "cannot mount"
  [ "$status" -eq 0 ]
}
