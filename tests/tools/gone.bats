#!/usr/bin/env bats
# tombstone_deadline: what is deleted is gone from the files in time, and the
# space of what a job has left half done comes back.

load helper

# 4,000 records in a table, some values at its begin marked; these are deleted.
# A job that ends early has written that begin: no tombstone is left to tell.
marked() {
  lsm-init -d "$1" --strategy "$2" tombstone_deadline=16 maintenance=cron \
    compression=none compression_last=none restart_interval=1 table_bytes=1M table_bytes_max=1M \
    job_bytes=64K
  seq -f %06.0f 4000 |
    awk '{ printf "%s\t%s-%0100d\n", $1, (NR % 20 || NR > 400) ? "value" : "marker", $1 }' |
    lsm-put -d "$1"
  lsm-flush -d "$1"
  seq -f %06.0f 20 20 400 | lsm-del -d "$1"
}

# How many of the files that the store consists of show a marked value?
showing() {
  grep -la marker- "$1"/* | wc -l
}

# compact HOW STORE: a run of lsm-compact, ended in one way or another
compact() {
  case $1 in
  whole) lsm-compact -d "$2" ;;
  bytes) lsm-compact -d "$2" --max-bytes 64K ;;
  term) timeout -s TERM 0.5 lsm-compact -d "$2" --rate 300K || [ $? -eq 124 ] ;;
  kill) timeout -s KILL 0.5 lsm-compact -d "$2" --rate 300K || [ $? -eq 137 ] ;;
  esac
}

# keep STRATEGY HOW: once an eighth of the deadline; the last run is whole.
keep() {
  local store=$1-$2 start wait_ms i
  marked "$store" "$1"
  start=$(date +%s%3N)
  [ "$(showing "$store")" -ge 1 ]
  for i in 1 2 3 4 5 6 7; do
    wait_ms=$((start + i * 2000 - $(date +%s%3N)))
    [ "$wait_ms" -le 0 ] ||
      sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    compact "$2" "$store"
  done
  compact whole "$store"
  [ $(($(date +%s%3N) - start)) -lt 16000 ] # else the machine was too slow
  [ "$(showing "$store")" -eq 0 ]
  [ "$(lsm-scan -d "$store" --count)" -eq 3980 ]
  lsm-verify -d "$store"
  ! lsm-compact -d "$store" --is-needed
}

@test "deadline: deletes are gone from every file in time, however runs end" {
  local strategy how pids=()
  for strategy in leveled lazy-leveled unified; do
    for how in whole bytes term kill; do
      keep "$strategy" "$how" 3>&- > "$strategy-$how.log" 2>&1 & pids+=($!)
    done
  done
  for how in "${pids[@]}"; do wait "$how" || { tail ./*.log; false; }; done
}

@test "leftovers: what a job that ended early wrote twice is needed work, and goes" {
  local i
  lsm-init --strategy tiered maintenance=cron compression=none \
    compression_last=none table_bytes=256K
  for i in 1 2; do
    seq -f %06.0f 20000 | awk '{ printf "%s\t%0100d\n", $1, $1 }' | lsm-put
    lsm-flush
  done
  lsm-compact --all --max-bytes 3M
  run -0 lsm-compact --is-needed -v
  [[ $output == *"half"* ]]
  cp -a data copy
  lsm-compact
  run -1 lsm-compact --is-needed
  [ "$(lsm-dump | grep -c '"trimmed"')" -eq 0 ]
  lsm-compact -d copy --all
  lsm-scan -d copy | md5sum > want
  lsm-scan | md5sum | cmp - want
}
