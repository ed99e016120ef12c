#!/usr/bin/env bats
# Compaction by those who write: `maintenance: auto`, and cron.

load helper

teardown() {
  [ -z "${FED:-}" ] || exec 9>&-
  [ -z "${CHILD:-}" ] || kill -CONT "$CHILD" 2>/dev/null || true
  release_lock
}

# N records of 1 KiB.
records() {
  awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++)
    printf "%08d\t%01000d\n", (i * 7919) % 1000003, i }'
}

runs_of_level0() {
  jq '.levels[0] // [] | length' data/MANIFEST.json
}

# A store with 24 runs of 1 MiB in level 0, which nobody has merged.
grown() {
  lsm-init --compression none write_buffer=1M table_bytes=1M \
    table_bytes_max=1M maintenance=cron level0_hard=100
  # In batches: what is loaded at once would be one run.
  records 25000 | lsm-put --sync=none --batch-size 500
  lsm-config maintenance=auto "$@"
  [ "$(runs_of_level0)" -ge 20 ]
}

# A writer that waits for more on descriptor 9: $WRITER.
start_writer() {
  mkfifo in
  lsm-put "$@" < in 3>&- &
  WRITER=$!
  exec 9> in
  FED=1
}

end_writer() {
  exec 9>&-
  FED=
  wait "$WRITER"
}

find_child() {
  CHILD=$(pgrep -P "$WRITER" -x lsm-compact)
}

# Start the writer, and stop the child it starts.
stop_child() {
  start_writer "$@"
  echo "$k	v" >&9
  eventually find_child
  kill -STOP "$CHILD"
}

gone() {
  ! kill -0 "$1" 2>/dev/null
}

@test "auto: a writer has what it writes merged beside it, and leaves nobody behind" {
  lsm-init --compression none write_buffer=32K table_bytes=64K \
    table_bytes_max=64K job_bytes=1M
  ( while [ ! -e stop ]; do runs_of_level0; sleep 0.01; done > runs ) 3>&- &
  records 5000 > in
  lsm-put --sync=none --batch-size 10 < in &
  wait $!
  run ! pgrep -P "$!"
  touch stop
  wait
  sort in | cmp - <(lsm-scan)
  lsm-verify
  echo "# at most $(sort -n runs | tail -n 1) runs in level 0" >&3
  # 156 buffers were filled; the hard limit is 12
  [ "$(sort -n runs | tail -n 1)" -le 24 ]
  [ "$(jq '.compacted_bytes | add' data/MANIFEST.json)" -gt 0 ]
}

@test "auto: who deletes many keys, and the shell, have it merged, too" {
  local tool
  grown
  cp -r data grown
  mkfifo in
  for tool in lsm-del lsm-shell; do
    rm -r data
    cp -r grown data
    "$tool" < in > out 3>&- & WRITER=$!
    exec 9> in
    FED=1
    [ "$tool" = lsm-shell ] && echo 'put k v' >&9 || echo k >&9
    eventually find_child
    end_writer
    gone "$CHILD"
  done
}

@test "auto: the child is the installed one, whatever PATH says" {
  mkdir bin
  printf '#!/bin/sh\ntouch %s/wrong\n' "$PWD" > bin/lsm-compact
  chmod +x bin/lsm-compact
  grown
  k=1
  PATH=$PWD/bin:$PATH stop_child
  [ "$(readlink "/proc/$CHILD/exe")" = "$(realpath "$(command -v lsm-put | xargs dirname)/lsm-compact")" ]
  [ "$(readlink "/proc/$CHILD/fd/0")" = /dev/null ]
  [ "$(readlink "/proc/$CHILD/fd/1")" = /dev/null ]
  kill -CONT "$CHILD"
  end_writer
  [ ! -e wrong ]
}

@test "auto: a writer that ends ends its child, which keeps what it has done" {
  grown
  k=1 stop_child
  kill -CONT "$CHILD"
  end_writer
  gone "$CHILD"
  lsm-verify
  [ "$(lsm-scan --count)" = 25001 ]
}

@test "auto: a writer that is killed takes its child with it" {
  grown
  k=1 stop_child
  kill -9 "$WRITER"
  wait "$WRITER" || true
  kill -CONT "$CHILD"
  eventually gone "$CHILD"
  # it ended early: there is more to do
  lsm-compact --is-needed
  lsm-verify
}

@test "auto: a child that is stopped does not stop writers for ever" {
  local start
  grown level0_hard=12
  k=1 stop_child --batch-size 1
  SECONDS=0
  records 20 >&9
  end_writer
  echo "# took $SECONDS s" >&3
  [ "$SECONDS" -le 15 ]
  gone "$CHILD"
  [ "$(lsm-scan --count)" = 25001 ]
}

@test "auto: a one-shot tool merges at the hard limit only, a bounded piece" {
  local i before
  lsm-init write_buffer=4K level0_runs=2 level0_hard=5 job_bytes=4K
  for i in 1 2 3 4; do
    lsm-put "k$i" "$i"
    lsm-flush
  done
  lsm-put k9 9
  lsm-del k9
  [ "$(runs_of_level0)" = 4 ]
  lsm-flush
  [ "$(runs_of_level0)" = 5 ]
  run -0 --separate-stderr lsm-put a b
  [ -z "$output$stderr" ]
  [ "$(runs_of_level0)" -lt 5 ]
  [ "$(lsm-get k3)" = 3 ]
  run ! pgrep -f -x "lsm-compact.*$LSM_DIR.*"
}

@test "cron: nothing is started, and at the hard limit one warning says so" {
  needs_strace
  lsm-init write_buffer=4K table_bytes=16K maintenance=cron
  records 100 > in
  run -0 --separate-stderr strace -f -qq -o trace -e trace=execve \
    lsm-put --batch-size 1 < in
  one_message_of lsm-put
  [[ $stderr == *"hard limit"*lsm-compact* ]]
  [ "$(grep -c execve trace)" = 1 ]
  [ "$(lsm-scan --count)" = 100 ]
  run -0 --separate-stderr lsm-put k v
  one_message_of lsm-put
  run -0 --separate-stderr lsm-put -q k v
  [ -z "$stderr" ]
}

@test "auto: without lsm-compact one warning, and all is written" {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  lsm-init write_buffer=4K table_bytes=16K
  records 200 > in
  cat > without.sh <<'SH'
mount --bind /dev/null "$(command -v lsm-compact)" || exit 99
lsm-put --batch-size 1 < in || exit 1
lsm-put k v || exit 2
SH
  run --separate-stderr unshare -m bash without.sh
  [ "$status" -ne 99 ] || skip "cannot mount"
  [ "$status" -eq 0 ]
  # one of each tool
  [ "${#stderr_lines[@]}" -eq 2 ]
  [[ $stderr == *"warning: level 0 is not compacted: cannot run "*/lsm-compact:* ]]
  [ "$(lsm-scan --count)" = 201 ]
}

@test "auto: without its strategy a store is written all the same" {
  mkdir none
  lsm-init write_buffer=4K table_bytes=16K
  records 200 > in
  LSM_PLUGINS=$PWD/none run -0 --separate-stderr lsm-put --batch-size 1 < in
  [ "$(grep -c '^lsm-put: warning: .* status 78' <<< "$stderr")" = 1 ]
  grep -q '^lsm-compact: .*none' <<< "$stderr"
  [ "$(lsm-scan --count)" = 200 ]
}
