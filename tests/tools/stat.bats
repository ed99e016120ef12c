#!/usr/bin/env bats
# What lsm-stat(1) promises.

load helper

stat_json() {
  lsm-stat --json | jq -r "$1"
}

# A store with N runs of one table in level 0.
with_runs() {
  local i n=$1
  shift
  lsm-init maintenance=cron "$@"
  for ((i = 1; i <= n; i++)); do
    seq 100 | sed "s/\$/\t$i/" | lsm-put -q
    lsm-flush
  done
}

@test "stat: levels, runs, tables, bytes and entries are the manifest's" {
  with_runs 3
  lsm-compact --all
  seq 50 | lsm-del
  lsm-flush
  lsm-stat --json > shown.json
  lsm-dump > dump.json
  diff <(jq -c '[.levels[].runs[] | [.tables, .bytes, .entries, .tombstones]]' shown.json) \
    <(jq -c '[.levels[][] | [length, ([.[].bytes] | add), ([.[].entries] | add),
      ([.[].tombstones] | add)]]' dump.json)
  [ "$(jq '.levels[0].runs[0].tombstones' shown.json)" = 50 ]
  [ "$(jq '.levels[0].runs[0].oldest_tombstone_ms > 0' shown.json)" = true ]
  jq -e --slurpfile d dump.json '.generation == $d[0].generation and
    (.logs | map(.number)) == ($d[0].logs | map(.number))' shown.json
  lsm-stat > shown
  grep -Eq '^0 +1 +1 .* 50 +50 ' shown
  grep -Eq '^1 +1 +1 ' shown
}

@test "stat: write amplification is what was written over what was flushed" {
  [ "$(lsm-init; stat_json .amplification.write)" = null ]
  rm -r data
  with_runs 4
  [ "$(stat_json .amplification.write)" = 1 ]
  lsm-compact
  lsm-stat --json > shown.json
  jq -e '(.flushed_bytes + ([.levels[].compacted_bytes] | add)) / .flushed_bytes
    - .amplification.write | fabs < 0.0001' shown.json
  jq -e '.amplification.write > 1.2 and .amplification.write < 2.1' shown.json
}

@test "stat: space is estimated by overlap, lookups by runs" {
  local i
  with_runs 4
  # four times the same keys
  stat_json .amplification.space | awk '{ exit !($1 > 3.5 && $1 < 4.5) }'
  [ "$(stat_json .amplification.lookup_runs)" = 5 ]
  lsm-compact --all
  [ "$(stat_json .amplification.space)" = 1 ]
  # runs that lie beside each other hold nothing twice
  rm -r data
  lsm-init maintenance=cron
  for i in a b c; do
    lsm-put $i 1
    lsm-flush
  done
  [ "$(stat_json .amplification.space)" = 1 ]
}

@test "stat: need is what lsm-compact says, and pressure the limits" {
  with_runs 3
  [ "$(stat_json .pressure.level)" = none ]
  [ "$(stat_json .need.bytes)" = 0 ]
  lsm-put x y
  lsm-flush
  [ "$(stat_json .pressure.level)" = soft ]
  lsm-compact --is-needed -v > said
  [ "need=$(stat_json .need.bytes) why=\"$(stat_json .need.why)\"" = "$(cat said)" ]
  [ "$(stat_json .need.bytes)" -gt 0 ]
  lsm-config level0_hard=4
  [ "$(stat_json .pressure.level)" = hard ]
  lsm-stat > shown
  grep -q '^pressure  *hard: level 0 has 4 runs' shown
  grep -q 'lsm-compact is overdue' shown
  lsm-compact
  [ "$(stat_json .pressure.level)" = none ]
  [ "$(stat_json .need.bytes)" = 0 ]
}

@test "stat: a strategy that is not there is said, and the rest is shown" {
  with_runs 1
  mkdir none
  LSM_PLUGINS=$PWD/none lsm-stat --json > shown.json
  jq -e '.need.error | test("none")' shown.json
  jq -e '.levels[0].runs | length == 1' shown.json
  LSM_PLUGINS=$PWD/none lsm-stat | grep -q '^need  *not known: .*none'
}

@test "stat: locks that are held, and by whom as a hint" {
  lsm-put k v
  [ "$(stat_json '.locks[] | select(.role == "write") | .held')" = false ]
  hold_lock 0
  lsm-stat --no-wait --json > shown.json
  [ "$(jq -r '.locks[] | select(.role == "write") | "\(.held) \(.tool)"' shown.json)" = \
    "true lsm-put" ]
  lsm-stat > shown
  grep -Eq '^lock +write: taken last by lsm-put \(pid [0-9]+\)' shown
}

@test "stat: claims tell the number and what is done with it" {
  with_runs 2
  hold_lock $((4294967296 + $(jq '.levels[0][0][0].number' data/MANIFEST.json)))
  lsm-stat --json > shown.json
  [ "$(jq -c '.claims | map(.for)' shown.json)" = '["compaction"]' ]
  jq -e '.levels[0].runs[0].claimed == 1 and .pressure.compacting' shown.json
  release_lock
  hold_lock $((4294967296 + $(jq '.logs[0].number' data/MANIFEST.json)))
  [ "$(stat_json '.claims[0].for')" = flush ]
  release_lock
  hold_lock $((4294967296 + 999))
  [ "$(stat_json '.claims[] | "\(.number) \(.for)"')" = "999 new" ]
  lsm-stat | grep -q '^claim  *000999: new'
  release_lock
  [ "$(stat_json '.claims | length')" = 0 ]
}

@test "stat: pins are the generations that others read, and dropped what they keep" {
  local reader generation
  with_runs 4
  [ "$(stat_json '.pins | length')" = 0 ]
  generation=$(jq .generation data/MANIFEST.json)
  # a scan that cannot go on: nobody reads what it prints
  for _ in {1..3}; do
    seq 100000 | sed 's/$/\tsome text that makes it longer than a pipe/' |
      lsm-put -q
    lsm-flush
  done
  mkfifo out
  lsm-scan > out 3>&- & reader=$!
  exec 9< out
  read -r _ <&9
  generation=$(jq .generation data/MANIFEST.json)
  [ "$(stat_json '.pins[] | "\(.first) \(.last)"')" = "$generation $generation" ]
  lsm-compact --all
  [ "$(stat_json '.dropped.files')" -ge 4 ]
  lsm-stat | grep -q "^pin  *generation $generation"
  lsm-stat | grep -q "^dropped  *[0-9]* files"
  exec 9<&-
  wait "$reader" || true
  [ "$(stat_json '.pins | length')" = 0 ]
  lsm-flush
  [ "$(stat_json '.dropped.files')" = 0 ]
}

@test "stat: changes nothing, also where it may not write, and without LOCK" {
  with_runs 2
  (cd data && sha256sum -- *) > before
  lsm-stat > /dev/null
  (cd data && sha256sum -- *) | diff before -
  chmod a-w data data/*
  lsm-stat --json | jq -e '.levels[0].runs | length == 2'
  chmod u+w data
  rm -f data/LOCK data/STATE
  [ "$(stat_json '"\(.trusted) \(.locks | length)"')" = "false 0" ]
}

@test "stat: every member it prints is in formats/stat.md" {
  local name
  with_runs 2
  for name in $(lsm-stat --json | jq -r 'paths | map(select(type == "string")) | last // empty' | sort -u); do
    grep -qw "$name" "$ROOT/formats/stat.md" || { echo "$name"; false; }
  done
}

@test "stat: on a terminal it draws the tree, else it does not" {
  command -v script > /dev/null || skip "no script"
  with_runs 3
  lsm-stat > shown
  run -1 grep -q '^  L0 ' shown
  script -qec lsm-stat /dev/null > shown
  grep -Eq '^  L0  #+\|#+\|#+' shown
}
