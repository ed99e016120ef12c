#!/usr/bin/env bats
# What lsm-sim(1) promises; how near it comes to a real store is for
# tests/unit/test_simreal.c.

load helper

STRATEGIES="leveled tiered lazy-leveled unified fifo"
WORKLOADS="uniform zipf sequential time-series delete-heavy"
SMALL="write_buffer=64K table_bytes=64K table_bytes_max=256K job_bytes=256K level0_bytes=1M"

@test "sim: needs no store, and leaves none behind" {
  run -0 --separate-stderr lsm-sim --records 100000
  [ -z "$stderr" ]
  [ ! -e "$LSM_DIR" ]
}

@test "sim: the table has every figure" {
  lsm-sim --records 200000 $SMALL > shown
  grep -Eq '^strategy  *leveled$' shown
  grep -Eq '^workload  *uniform: 200000 first writes, 0 updates' shown
  grep -Eq '^  write  *[0-9]+\.[0-9][0-9] ' shown
  grep -Eq '^  space  *[0-9]+\.[0-9][0-9] at the end, [0-9.]+ at most' shown
  grep -Eq '^  read  *[0-9.]+ runs a lookup at the end, [0-9.]+ on average' shown
  grep -Eq '^stalls  *[a-z0-9]' shown
  grep -Eq '^tables  *[0-9]+, ' shown
  grep -Eq '^LEVEL  *RUNS  *TABLES' shown
  grep -Eq '^2  *1  *[0-9]+ ' shown
}

@test "sim: every strategy runs on every workload, and its JSON has all members" {
  local s w
  for s in $STRATEGIES; do
    for w in $WORKLOADS; do
      lsm-sim --json --strategy $s --workload $w --records 100000 $SMALL > out
      jq -e --arg s $s --arg w $w '.strategy == $s and .workload.name == $w and
        ([.user_bytes, .flushes, .flushed_bytes, .jobs, .compacted_bytes,
          .read_bytes, .tables, .tables_max, .bytes, .bytes_max,
          .sustainable_ingest, .amplification[], .stalls[],
          .levels[][]] | all(type == "number")) and
        .amplification.write >= 1 and .amplification.space >= 1 and
        .amplification.space_max >= .amplification.space and
        .tables_max >= .tables and .bytes_max >= .bytes and
        ([.levels[].tables] | add) == .tables and
        ([.levels[].bytes] | add) == .bytes and
        ([.levels[].written_bytes] | add) == .flushed_bytes + .compacted_bytes' out ||
        { echo "$s $w"; cat out; return 1; }
    done
  done
}

# The members that a page of formats/ names, and those a file has.
@test "sim: the page names the members that are printed, and no others" {
  lsm-sim --json --records 100000 $SMALL > out
  jq -r '[paths | map(select(type == "string")) | last] | unique | .[]' out |
    sort -u > printed
  sed -n '/^    /p' "$ROOT/formats/sim.md" | sed 's|//.*||' |
    grep -oE '^ +[a-z_, 0-9]+:' | tr -d ' :' | tr , '\n' | sort -u > named
  sed -n '/levels: /,$p' "$ROOT/formats/sim.md" | grep -oE \
    '\b(runs|tables|bytes|entries|tombstones|written_bytes)\b' | sort -u |
    sort -u - named > all
  diff printed all
}

@test "sim: the same command prints the same" {
  lsm-sim --workload zipf --records 300000 $SMALL > a
  lsm-sim --workload zipf --records 300000 $SMALL > b
  cmp a b
}

@test "sim: no entry is lost, and none stays twice" {
  local s
  # tombstones go with what they hide, overwritten entries when they meet
  for s in $STRATEGIES; do
    lsm-sim --json --strategy $s --records 300000 $SMALL |
      jq -e '[.levels[].entries] | add | . > 299000 and . < 301000'
  done
  lsm-sim --json --records 50000 --updates 500000 --compact flush \
    --ingest 0 $SMALL level0_runs=1 |
    jq -e '[.levels[].entries] | add | . > 49900 and . < 60000'
}

@test "sim: ascending keys are moved, not merged" {
  lsm-sim --json --workload sequential --records 3000000 write_buffer=4M \
    table_bytes=4M table_bytes_max=16M |
    jq -e '.amplification.write < 1.5 and .amplification.lookup_runs < 2.1'
}

@test "sim: fifo lets a time series expire by size" {
  lsm-sim --json --workload time-series --strategy fifo --records 2000000 \
    $SMALL max_bytes=20M |
    jq -e '.bytes <= 20 * 1048576 and .bytes > 15 * 1048576 and
      .bytes_max < 23 * 1048576'
}

@test "sim: options of the strategy and of the store are heard" {
  local few many
  few=$(lsm-sim --json --strategy tiered --records 300000 $SMALL min_runs=2 |
    jq .amplification.write)
  many=$(lsm-sim --json --strategy tiered --records 300000 $SMALL min_runs=8 \
    level0_runs=8 | jq .amplification.write)
  awk "BEGIN { exit !($few > 1.3 * $many) }"
  run -78 --separate-stderr lsm-sim --strategy tiered min_runs=1
  one_message_of lsm-sim
  run -78 --separate-stderr lsm-sim write_buffer=1
  one_message_of lsm-sim
  run -78 --separate-stderr lsm-sim nonsense=1
  one_message_of lsm-sim
}

@test "sim: an ingest that compaction cannot follow is slowed down, then stopped" {
  lsm-sim --json --records 3000000 --ingest 1M $SMALL > slow
  # now and then a job is a large one
  jq -e '.stalls | .slowed_seconds < .seconds / 100 and .stalled_seconds == 0' slow
  lsm-sim --json --records 3000000 --ingest 150M $SMALL > fast
  jq -e '.stalls.slowed_seconds > 0 and .stalls.stalled_seconds > 0 and
    .stalls.longest_seconds <= 10 and .stalls.flushes_at_hard > 0' fast
  # what takes longer than it should is told by the clock
  jq -e '.stalls | .seconds >= .slowed_seconds + .stalled_seconds' fast
  jq -e '.sustainable_ingest < 150 * 1048576' fast
  lsm-sim --json --records 3000000 --ingest 150M $SMALL maintenance=cron |
    jq -e '.stalls.slowed_seconds == 0 and .stalls.stalled_seconds == 0'
  [ "$(lsm-sim --json --records 100000 --ingest 0 | jq -c .stalls)" = null ]
}

@test "sim: strategies that break the rules are refused with 78" {
  local s
  export LSM_PLUGINS=${LSM_BIN%/bin}/tests/plugins
  [ -e "$LSM_PLUGINS/lsm-strategy-skipping.so" ] ||
    LSM_PLUGINS=$ROOT/build/tests/plugins
  for s in nosuch ../tiered ancient misnamed dropping skipping repeating \
    unknown absurd endless; do
    run -78 --separate-stderr lsm-sim --strategy $s --records 300000 $SMALL
    [ -z "$output" ]
    one_message_of lsm-sim
  done
}

@test "sim: a strategy that never comes to an end is refused with 78" {
  export LSM_PLUGINS=${LSM_BIN%/bin}/tests/plugins
  [ -e "$LSM_PLUGINS/lsm-strategy-restless.so" ] ||
    LSM_PLUGINS=$ROOT/build/tests/plugins
  run -78 --separate-stderr timeout 60 lsm-sim --strategy restless \
    --records 100000 $SMALL
  one_message_of lsm-sim
  [[ $stderr == *"finds no end"* ]]
}

@test "sim: terabytes take seconds of computing, and little memory" {
  sanitized && skip "a sanitizer reserves memory"
  local s
  for s in lazy-leveled unified; do
    (
      ulimit -t 10 -d 131072
      lsm-sim --json --strategy $s --records 20000000000 > $s
    )
    jq -e '.user_bytes > 2 * 1099511627776 and .amplification.write > 3' $s
  done
  (
    ulimit -t 10 -d 131072
    lsm-sim --json --records 20000000000 --ingest 0 write_buffer=512M level0_bytes=2G \
      table_bytes=512M table_bytes_max=2G job_bytes=2G > leveled
  )
  jq -e '.user_bytes > 2 * 1099511627776 and .amplification.write > 5' leveled
}

@test "sim: --from-store begins with the store's tables, and changes nothing" {
  local i
  lsm-init maintenance=cron write_buffer=256K table_bytes=64K
  for i in 1 2 3 4; do
    seq -f '%09.0f' 5000 | sed "s/\$/\tvalue $i/" | lsm-put
    lsm-flush
  done
  ls -l data > before
  lsm-sim --from-store --json > foreseen
  ls -l data | diff before -
  jq -e '.jobs == 1 and .flushes == 0 and .amplification.write == null and
    .workload.from_store and .workload.key_bytes == 9' foreseen
  lsm-stat --json > now
  # it reads what is due
  [ "$(jq .read_bytes foreseen)" = "$(jq .need.bytes now)" ]
  lsm-compact
  # one run, of the same entries, twice in the store: now nothing is due
  lsm-sim --from-store --json > foreseen
  lsm-stat --json > now
  jq -e '.jobs == 0' foreseen
  [ "$(jq '[.levels[].bytes] | add' foreseen)" = \
    "$(jq '[.levels[].runs[].bytes] | add' now)" ]
  [ "$(jq '[.levels[].entries] | add' foreseen)" = 5000 ]
}

@test "sim: --from-store goes on with updates, and with new keys behind" {
  local i
  lsm-init maintenance=cron write_buffer=256K table_bytes=64K
  for i in 1 2 3 4; do
    seq -f '%09.0f' 5000 | sed "s/\$/\tvalue $i/" | lsm-put
    lsm-flush
  done
  lsm-compact
  lsm-sim --from-store --json --updates 100000 |
    jq -e '.flushes > 5 and .amplification.write > 1.2 and
      ([.levels[].entries] | add | . >= 4990 and . < 25000)'
  lsm-sim --from-store --json --workload sequential --records 20000 |
    jq -e '[.levels[].entries] | add | . >= 24990 and . <= 25010'
  lsm-sim --from-store --json --strategy tiered --updates 1000 |
    jq -e '.strategy == "tiered"'
  run -64 lsm-sim --from-store --records 5
  run -64 lsm-sim --from-store --key-bytes 5
  run -66 --separate-stderr lsm-sim --from-store -d nosuch
  one_message_of lsm-sim
  lsm-init -d empty
  lsm-sim --from-store -d empty > shown
  run -64 lsm-sim --from-store -d empty --updates 5
  run -64 lsm-sim --from-store -d empty --workload sequential --updates 5
}

@test "sim: what makes no sense is status 64" {
  local bad
  for bad in "--workload nosuch" "--records 0" "--records x" "--updates -1" \
    "--deletes 101" "--key-bytes 0" "--stored 0" "--disk 0" "--compact never" \
    "--workload time-series --updates 5" operand \
    "--records 1000000000000000 --value-bytes 1000000"; do
    run -64 --separate-stderr lsm-sim $bad
    [ -z "$output" ]
    one_message_of lsm-sim
  done
}

@test "sim: a writer who is ahead of compaction costs leveled no more than one who waits" {
  local ahead slow
  ahead=$(lsm-sim --workload uniform --records 1000000000 --key-bytes 16 \
    --value-bytes 100 --ingest 50M --disk 200M --json | jq .amplification.write)
  slow=$(lsm-sim --workload uniform --records 1000000000 --key-bytes 16 \
    --value-bytes 100 --ingest 10M --disk 200M --json | jq .amplification.write)
  echo "written: $ahead times ahead, $slow times at 10 MB a second"
  jq -en "$ahead <= $slow and $slow < 12"
}
