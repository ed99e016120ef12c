#!/usr/bin/env bats
# lsm-compact as cron and operators use it: lsm-compact.1

load helper

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
  run -130 bash -c 'set -m; lsm-compact --all --rate 200K & sleep 1
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

@test "limits: --until a minute that begins in a moment ends in time" {
  rounds 2 8000
  sleep $((58 - 10#$(date +%S) > 0 ? 0 : 3))
  if [ "$(date +%S)" -lt 50 ]; then
    # far from the turn of the minute: the next one is not waited for
    run -0 lsm-compact --all --until "$(date -d '+2 min' +%H:%M)" -v
    [[ $output == *" stopped=0" ]]
  else
    run -0 timeout 20 lsm-compact --all --rate 20K -v \
      --until "$(date -d '+1 min' +%H:%M)"
    [[ $output == *" stopped=1" ]]
  fi
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

@test "jobs: -j 2 gives what one gives" {
  rounds 5 4000
  lsm-scan | md5sum > want
  lsm-compact -j 2
  lsm-compact --all -j 2
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
