#!/usr/bin/env bats
# tombstone_deadline: what is deleted is gone from the files in time, and the
# space of what a job has left half done comes back.

load helper

# A marker of its own in every twentieth value of a table's first 400 records of
# 4,000, and in 5 that are nowhere but in the log; all of these are deleted. A
# job that ends early has written the table's begin: no tombstone is left to
# tell of the rest of the file.
marked() {
  lsm-init -d "$1" --strategy "$2" tombstone_deadline=16 maintenance=cron \
    compression=none compression_last=none restart_interval=1 \
    table_bytes=1M table_bytes_max=1M
  seq -f %06.0f 4000 | awk '{
    printf "%s\t%s-%s-%0100d\n", $1,
      (NR % 20 || NR > 400) ? "value" : "marker", $1, $1 }' |
    lsm-put -d "$1"
  lsm-flush -d "$1"
  lsm-config -d "$1" table_bytes=64K table_bytes_max=64K job_bytes=64K
  seq -f %06.0f 20 20 400 | tee "$1.deleted" | lsm-del -d "$1"
  seq -f %06.0f 5001 5005 | tee -a "$1.deleted" |
    awk '{ print $1 "\tmarker-" $1 "-" }' | lsm-put -d "$1"
  seq -f %06.0f 5001 5005 | lsm-del -d "$1"
}

# The markers that any file of the store shows, log and manifest included: the
# keys of their records.
showing() {
  cat "$1"/* | grep -ao 'marker-[0-9]*-' | tr -dc '0-9\n' | sort -u
}

# compact HOW STORE: a run of lsm-compact, ended in one way or another
compact() {
  case $1 in
  whole) lsm-compact -d "$2" ;;
  bytes) lsm-compact -d "$2" --max-bytes 64K ;;
  term) timeout -s TERM 0.5 lsm-compact -d "$2" --rate 200K || [ $? -eq 124 ] ;;
  kill) timeout -s KILL 0.6 lsm-compact -d "$2" --rate 200K || [ $? -eq 137 ] ;;
  esac
}

# keep STRATEGY HOW: once an eighth of the deadline; the last run is whole.
keep() {
  local store=$1-$2 start wait_ms i cut=0
  marked "$store" "$1"
  start=$(date +%s%3N)
  showing "$store" | cmp - "$store.deleted"
  for i in 1 2 3 4 5 6 7; do
    wait_ms=$((start + i * 2000 - $(date +%s%3N)))
    [ "$wait_ms" -le 0 ] ||
      sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
    compact "$2" "$store"
    cut=$((cut + $(grep -c '"trimmed"' "$store/MANIFEST.json" || true)))
  done
  compact whole "$store"
  [ $(($(date +%s%3N) - start)) -lt 16000 ] # else the machine was too slow
  [ -z "$(showing "$store")" ]
  [ "$2" = whole ] || [ "$cut" -ge 1 ] # a job did end in the middle
  [ "$(lsm-scan -d "$store" --count)" -eq 3980 ]
  lsm-verify -d "$store"
  ! lsm-compact -d "$store" --is-needed
}

@test "deadline: deleted values are in no file in time, log included, however runs end" {
  local strategy how pids=()
  for strategy in leveled lazy-leveled unified; do
    for how in whole bytes term kill; do
      keep "$strategy" "$how" 3>&- > "$strategy-$how.log" 2>&1 & pids+=($!)
    done
  done
  for how in "${pids[@]}"; do wait "$how" || { tail -n 5 ./*.log; false; }; done
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
