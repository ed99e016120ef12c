#!/usr/bin/env bats
# lsm-compact.1

load helper

# N tables that overlap
some_tables() {
  local i
  for ((i = 1; i <= $1; i++)); do
    seq 100 | sed "s/\$/\t$i/" | lsm-put
    lsm-flush
  done
}

tables() {
  files | grep -c 'sst$' || true
}

@test "compact: --all merges into one run and changes nothing for readers" {
  some_tables 5
  lsm-scan > want
  lsm-compact --all
  lsm-scan | cmp - want
  lsm-flush
  [ "$(tables)" -eq 1 ]
}

@test "compact: drops what is overwritten and deleted" {
  some_tables 3
  lsm-del --prefix 1
  lsm-flush
  lsm-compact --all
  [ "$(lsm-scan --count)" -eq 88 ]
  run -1 lsm-get 1
  [ "$(lsm-get 2)" = 3 ]
}

@test "compact: with nothing to do is status 0" {
  lsm-init
  lsm-compact
  lsm-compact --all
  lsm-put k v
  lsm-compact --all
  [ "$(lsm-get k)" = v ]
}

@test "compact: -v prints one line of name=number pairs" {
  some_tables 3
  run -0 --separate-stderr lsm-compact --all -v
  [ -z "$stderr" ]
  [ "${#lines[@]}" -eq 1 ]
  [[ $output =~ ^jobs=[1-9][0-9]*\ tables_in=[0-9]+\ tables_out=[0-9]+\ bytes_in=[0-9]+\ bytes_out=[0-9]+\ dropped=200\ busy=0\ stopped=0$ ]]
}

@test "compact: an unknown strategy is status 78, and stops nothing else" {
  some_tables 2
  run -78 --separate-stderr lsm-compact --strategy nosuch
  one_message_of lsm-compact
  run -78 lsm-compact --strategy ../../etc/passwd
  lsm-put k v
  lsm-flush
  [ "$(lsm-get k)" = v ]
}

@test "compact: several at once, with writers and flushes, lose nothing" {
  local i pids=()
  some_tables 4
  seq -f 'n%05.0f' 5000 | sed 's/$/\tv/' | lsm-put 3>&- & pids+=($!)
  for i in 1 2 3; do
    { lsm-compact --all || [ $? -eq 75 ]; } 2>&1 3>&- & pids+=($!)
    lsm-flush 3>&- & pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
  [ "$(lsm-scan --count)" -eq 5100 ]
  [ "$(lsm-get 7)" = 4 ]
}

# shape STRATEGY FILTER: flushes that overwrite and delete all over the keys,
# a round after each; the levels, as arrays of runs, pass the filter each time.
shape() {
  local i deepest=0
  lsm-init --strategy "$1" maintenance=cron table_bytes=4K table_bytes_max=8K \
    block_bytes=1K level0_bytes=32K level_ratio=3
  for i in {1..30}; do
    mawk -v i="$i" 'BEGIN { srand(i); for (j = 0; j < 200; j++)
      printf "k%06d\tvalue %d of flush %d\n", rand() * 20000, j, i }' | lsm-put
    mawk -v i="$i" 'BEGIN { srand(i + 99); for (j = 0; j < 20; j++)
      printf "k%06d\n", rand() * 20000 }' | lsm-del
    lsm-flush
    lsm-compact
    jq -e ".levels | $2" data/MANIFEST.json > passed ||
      { echo "round $i:"; jq -c '[.levels[] | map(length)]' data/MANIFEST.json
        false; }
    deepest=$(jq --argjson d "$deepest" '[$d, (.levels | length)] | max' data/MANIFEST.json)
  done
  [ "$deepest" -ge 3 ]
  lsm-verify -q --strict
}

@test "compact: after every round leveled has at most one run below level 0" {
  shape leveled '.[1:] | map(length <= 1) | all'
}

@test "compact: after every round tiered has at most min_runs runs a level" {
  shape tiered 'map(length <= 4) | all'
}

@test "compact: with -j 2 a second thread packs, and the run is the same" {
  needs_strace
  local j
  lsm-init maintenance=cron compression_last=none
  for j in 3 2 1; do
    seq "$j" "$j" 200000 | sed "s/\$/\t$j $(printf '%0100d' 0)/" | lsm-put
    lsm-flush
  done
  cp -r data two
  for j in 1 2; do
    [ "$j" = 1 ] || { mv data one && mv two data; }
    lsm-compact --all --plan | jq '.jobs[].table_bytes = 4194304' > plan.json
    strace -f -qq -o "threads$j" -e trace=clone,clone3 \
      lsm-compact --apply plan.json -q -j "$j"
    lsm-verify -q --strict
    lsm-scan | md5sum > "scan$j"
    jq -c '[.levels[][] | length]' data/MANIFEST.json > "tables$j"
  done
  diff scan1 scan2
  diff tables1 tables2
  [ "$(grep -c CLONE_THREAD threads1)" -eq 0 ]
  # One worker more, and one to pack for each table that is worth it.
  [ "$(grep -c CLONE_THREAD threads2)" -ge 2 ]
}

@test "compact: leaves the page cache as it found it" {
  needs_strace
  local how
  [ "$(stat -f -c %T .)" != tmpfs ] || skip "there all is in memory"
  lsm-init maintenance=cron
  for how in 1 2 3; do
    seq "$how" 3 200000 | sed "s/\$/\t$how $(printf '%0100d' 0)/" | lsm-put
    lsm-flush
  done
  cp -r data cold
  sync data/*.sst cold/*.sst
  for how in cold/*.sst; do # which does not write, and puts it out
    dd if=/dev/null of="$how" oflag=nocache conv=notrunc,fdatasync count=0 status=none
  done
  cat data/*.sst > /dev/null
  strace -f -qq -o warm.calls -e trace=fadvise64 -e signal=none lsm-compact --all -q
  strace -f -qq -o cold.calls -e trace=fadvise64 -e signal=none lsm-compact -d cold --all -q
  [ ! -s warm.calls ]
  # each input as it is left, the output when it is on the disk
  [ "$(grep -c 'fadvise64(.*, 0, 0, POSIX_FADV_DONTNEED) = 0' cold.calls)" -ge 4 ]
  lsm-scan > want
  lsm-scan -d cold | cmp - want
}

@test "compact: without a plugin in LSM_PLUGINS lsm-compact ends 78" {
  mkdir none
  chmod go-w none
  lsm-put k v
  LSM_PLUGINS=$PWD/none run -78 --separate-stderr lsm-compact
  one_message_of lsm-compact
}

# ---- strategies that nobody should trust ----

# Three runs over a level with a run of several tables, and deletes.
layered_store() {
  local i
  lsm-init maintenance=cron table_bytes=4K table_bytes_max=8K block_bytes=1K
  for ((i = 1; i <= 5; i++)); do
    seq "$i" "$i" 900 | sed "s/\$/\t$i some text to fill tables with/" | lsm-put
    lsm-flush
    [ "$i" -ne 2 ] || lsm-compact --all
  done
  seq 1 13 900 | lsm-del
  lsm-flush
}

bad_plugins() {
  export LSM_PLUGINS
  LSM_PLUGINS=$(cd "$(dirname "$(command -v lsm-put)")/../tests/plugins" && pwd)
}

# Everything a reader can see, and what the store consists of.
state_of_store() {
  lsm-scan
  lsm-get 1 14 900 13 2>&1 || true
  lsm-dump | jq -c '[.generation, .levels, .dropped]'
}

# refused STRATEGY PATTERN: status 78, one message, and nothing has changed
refused() {
  run -78 --separate-stderr lsm-compact --strategy "$1"
  one_message_of lsm-compact
  [[ $stderr == *"$1"*$2* ]]
  state_of_store | cmp - before
}

@test "compact: a strategy whose plan is wrong is status 78, and nothing changed" {
  layered_store
  bad_plugins
  state_of_store > before
  refused overlapping "would pass table"
  refused skipping "would pass table"
  refused unknown "is not in the store"
  refused repeating "stands twice"
  refused absurd "there is no level 1000000"
  refused endless "goes on for ever"
  refused dropping "does not say that it drops"
  refused ancient "ABI"
  refused misnamed "another name"
  lsm-verify
}

@test "compact: a strategy that crashes, loops or leaves is status 78, and nothing changed" {
  layered_store
  bad_plugins
  state_of_store > before
  refused crashing "plan: crashed: Segmentation fault"
  refused diving "plan: crashed: Segmentation fault"
  refused aborting "plan: crashed: Aborted"
  refused leaving "plan: ended the process"
  refused scribbling "wrote over its answers"
  refused sick "need: crashed"
  refused touchy "check: crashed"
  (ulimit -t 1 && refused spinning "plan: was killed")
  lsm-verify
}

@test "compact: a strategy that takes what another process has claimed is refused" {
  local table
  layered_store
  bad_plugins
  state_of_store > before
  table=$(lsm-compact --view --strategy claiming | jq '.tables[-1].number')
  hold_lock $((2 ** 32 + table))
  refused claiming "input $table is in another job"
  release_lock
  lsm-compact --strategy claiming
  lsm-verify
}

@test "compact: a strategy can do nothing but plan" {
  ! sanitized || skip "a sanitizer makes calls of its own"
  layered_store
  bad_plugins
  state_of_store > before
  lsm-compact --strategy meddling
  state_of_store | cmp - before
  lsm-verify
}

@test "compact: a strategy that crashes stops nothing else" {
  layered_store
  bad_plugins
  run -78 lsm-compact --strategy crashing
  lsm-put k v
  lsm-flush
  [ "$(lsm-get k)" = v ]
  unset LSM_PLUGINS
  lsm-compact --all
  [ "$(lsm-get k)" = v ]
}
