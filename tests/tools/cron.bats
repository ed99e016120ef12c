#!/usr/bin/env bats
# lsm-compact as cron and operators use it: lsm-compact.1

load helper

teardown() {
  # one that is stopped, whatever the test has come to
  [ -z "${first:-}" ] || kill -KILL "$first" 2> /dev/null || true
  release_lock
}

# $1 flushed tables over the same $2 keys, of incompressible values
rounds() {
  local i
  lsm-init maintenance=cron compression=none compression_last=none \
    table_bytes=64K block_bytes=1K
  for ((i = 1; i <= $1; i++)); do
    seq "$2" | awk -v i="$i" '{ printf "%06d\t%s-%0100d\n", $1, i, $1 }' |
      lsm-put
    lsm-flush
  done
}

@test "is-needed: 1 when nothing waits, 0 when work does, and changes nothing" {
  rounds 3 100
  run -1 lsm-compact --is-needed
  [ -z "$output" ]
  rounds_before=$(files | sort)
  seq 100 | sed 's/$/\tx/' | lsm-put
  lsm-flush
  run -0 lsm-compact --is-needed
  run -0 lsm-compact --is-needed -v
  [[ $output =~ ^need=[1-9][0-9]*\ why=\"[^\"]+\"$ ]]
  [ "$(files | grep -c sst)" -eq 4 ]
  lsm-compact
  run -1 lsm-compact --is-needed -v
  [ "$output" = 'need=0 why=""' ]
  [ -n "$rounds_before" ]
}

@test "limits: what is not a time, a size or a number is status 64" {
  local bad
  lsm-init
  for bad in --until=24:00 --until=6:00 --until=06:60 --until=06:000 --until=x \
    --max-bytes=0 --max-bytes=1T --max-bytes= --rate=-1 --rate=K \
    -j0 -j65 -jx --progress=text --from= --to=; do
    run -64 --separate-stderr lsm-compact "$bad"
    one_message_of lsm-compact
  done
}

@test "limits: --max-bytes ends a run early, keeps its work, and the next goes on" {
  rounds 4 4000
  lsm-scan | md5sum > want
  run -0 lsm-compact --all --max-bytes 256K -v
  [[ $output == *" stopped=1" ]]
  lsm-scan | md5sum | cmp - want
  lsm-verify
  for _ in {1..40}; do
    run -0 lsm-compact --all --max-bytes 256K -v
    [[ $output == *" stopped=1" ]] || break
  done
  [[ $output == *" stopped=0" ]]
  lsm-scan | md5sum | cmp - want
  lsm-verify
}

@test "limits: SIGTERM ends at a table, status 0, and what is finished stays" {
  local before
  rounds 4 8000
  lsm-scan | md5sum > want
  lsm-compact --all --rate 400K -v > said &
  # the first piece is in place when a table was written to the last level
  eventually [ "$(pgrep -c -P $$ lsm-compact)" -ge 1 ]
  sleep 1.5
  kill -TERM $!
  wait $!
  grep -q ' stopped=1$' said
  before=$(sed 's/.*tables_out=\([0-9]*\).*/\1/' said)
  [ "$before" -ge 1 ]
  lsm-scan | md5sum | cmp - want
  lsm-verify
  lsm-compact --all
  lsm-scan | md5sum | cmp - want
}

@test "limits: Ctrl-C ends it the same way, and a loop around it ends, too" {
  rounds 4 8000
  # Whoever runs us in the background may have had it ignored.
  run -130 bash -c 'set -m
    env --default-signal=INT lsm-compact --all --rate 200K & sleep 1
    kill -INT %1; wait %1'
  lsm-verify
}

@test "limits: --rate holds" {
  local start end
  rounds 2 4000
  start=$(date +%s%N)
  lsm-compact --all --rate 400K
  end=$(date +%s%N)
  # about 460 KB are written
  [ $(((end - start) / 1000000)) -ge 800 ]
}

# A time zone in which it is now N seconds past a minute.
zone_with_second() {
  local east=$(($1 - 10#$(date +%S)))
  printf 'LOC%s00:00:%02d' "$([ $east -gt 0 ] && echo -)" ${east#-}
}

@test "limits: --until a minute that begins in a moment ends in time" {
  local start
  rounds 2 8000
  TZ=$(zone_with_second 56)
  export TZ
  start=$(date +%s%N)
  run -0 timeout 30 lsm-compact --all --rate 40K -v \
    --until "$(date -d '+1 min' +%H:%M)"
  [[ $output == "jobs=1 "*" stopped=1" ]]
  [ $((($(date +%s%N) - start) / 1000000)) -ge 2000 ]
  lsm-verify
  # the minute that has begun is over in a day
  run -0 lsm-compact --all --until "$(date -d '+2 min' +%H:%M)" -v
  [[ $output == *" stopped=0" ]]
  lsm-verify
}

@test "progress: jsonl on stderr, the last line done; SIGUSR1 prints a line" {
  rounds 2 8000
  lsm-compact --all --rate 400K --progress jsonl 2> told &
  sleep 1.6
  kill -USR1 $!
  wait $!
  grep -q '^lsm-compact: [0-9.]*/[0-9.]* MiB, ' told
  grep '^{' told | jq -se 'length >= 2 and (.[-1].done) and
    (.[0].done | not) and all(.[]; .tool == "lsm-compact" and
    .bytes_done <= .bytes_total) and .[-1].bytes_done > 0' > shown
}

@test "progress: nothing is shown where nobody asked, on no terminal" {
  rounds 3 2000
  run -0 --separate-stderr lsm-compact --all
  [ -z "$output$stderr" ]
}

@test "range: --from --to merges only what holds such keys" {
  rounds 1 4000
  lsm-compact --all
  seq 3000 3100 | awk '{ printf "%06d\tnew\n", $1 }' | lsm-put
  lsm-flush
  lsm-scan | md5sum > want
  run -0 lsm-compact --from 000001 --to 000010 -v
  [[ $output == *" stopped=0" ]]
  run -0 lsm-compact --from 003050 --to 003051 -v
  [[ $output == "jobs=1 "* ]]
  [ "$(sed 's/.*bytes_in=\([0-9]*\).*/\1/' <<< "$output")" -lt 300000 ]
  lsm-scan | md5sum | cmp - want
  lsm-verify
  run -64 lsm-compact --from b --to a
}

# Many small jobs: a level that is half as large as the one below, and ought to
# be a twentieth of it.
many_jobs() {
  local n
  lsm-init maintenance=cron level_ratio=2 compression=none \
    compression_last=none table_bytes=64K table_bytes_max=64K \
    level0_bytes=64K level0_runs=2 job_bytes=256K write_buffer=16K
  for n in 24000 12000; do
    seq $n | awk -v i=$n 'BEGIN { srand(i) }
      { printf "%08d\t%0100d\n", rand() * 1e8, $1 }' | lsm-put
    lsm-flush
    lsm-compact
  done
  lsm-config level_ratio=20
  lsm-scan | md5sum > want
}

# How many of the jobs of `plan` have a table that is claimed, now?
jobs_under_way() {
  lsm-stat --json | jq --slurpfile plan plan '[.claims[].number] as $claimed |
    [$plan[0].jobs[] | select(.inputs | any(IN($claimed[])))] | length'
}

is_under_way() { [ "$(jobs_under_way)" -ge 1 ]; }

# most_jobs N: the most jobs that lsm-compact -j N was seen to be at, at once.
most_jobs() {
  local n pid most=0
  rm -rf data
  cp -a base data
  lsm-compact -j "$1" --rate 1500K 3>&- & pid=$!
  while kill -0 $pid 2> /dev/null; do
    n=$(jobs_under_way)
    most=$((n > most ? n : most))
  done
  wait $pid
  lsm-scan | md5sum | cmp - want >&2 && lsm-verify -q || return
  ! lsm-compact --is-needed || return
  echo $most
}

@test "jobs: -j 2 gives what one gives, and is at two jobs at once" {
  rounds 5 4000
  lsm-scan | md5sum > want
  lsm-compact -j 2
  lsm-compact --all -j 2
  lsm-scan | md5sum | cmp - want
  lsm-verify
  rm -r data
  many_jobs
  lsm-compact --plan > plan
  [ "$(jq '.jobs | length' plan)" -ge 4 ]
  mv data base
  [ "$(most_jobs 1)" -eq 1 ]
  [ "$(most_jobs 2)" -eq 2 ]
}

@test "jobs: others at all that is due is status 75, and the rest is done without" {
  local more
  rounds 5 100
  lsm-scan > want
  lsm-compact --plan > plan
  lsm-compact --rate 1K > /dev/null 2>&1 3>&- & first=$!
  eventually is_under_way
  kill -STOP $first
  lsm-dump | jq .generation > before
  for more in "" --all "--from 000001"; do
    # shellcheck disable=SC2086  # two words
    run -75 --separate-stderr lsm-compact $more
    one_message_of lsm-compact
    [[ $stderr == *"other processes are at all that is due" ]]
    lsm-dump | jq .generation | cmp - before
  done
  kill -KILL $first
  wait $first || [ $? -eq 137 ]
  run -0 lsm-compact -v
  [[ $output == "jobs=1 "* ]]
  lsm-scan | cmp - want
  rm -r data
  # of several jobs one is taken: others are done
  many_jobs
  lsm-compact --plan > plan
  hold_lock $((4294967296 + $(jq '.jobs[0].inputs | min' plan)))
  run -0 lsm-compact -v
  [[ $output == "jobs="[1-9]*" stopped=0" ]]
  release_lock
  lsm-scan | md5sum | cmp - want
  lsm-verify
}

@test "stopped by SIGSTOP it keeps nobody waiting, and goes on with SIGCONT" {
  rounds 2 4000
  lsm-compact --all --rate 300K &
  sleep 0.5
  kill -STOP $!
  timeout 5 lsm-put k v
  [ "$(timeout 5 lsm-get k)" = v ]
  timeout 5 lsm-flush
  kill -CONT $!
  wait $!
  [ "$(lsm-get k)" = v ]
  lsm-verify
}
