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

@test "compact: without any plugin lsm-compact ends 78, and the others go on" {
  mkdir none
  chmod go-w none
  lsm-put k v
  lsm-flush
  LSM_PLUGINS=$PWD/none run -78 --separate-stderr lsm-compact
  one_message_of lsm-compact
  export LSM_PLUGINS=$PWD/none
  lsm-put k2 v2
  [ "$(lsm-get k)" = v ]
  lsm-flush
  [ "$(lsm-scan --count)" -eq 2 ]
}
