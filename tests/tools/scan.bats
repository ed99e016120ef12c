#!/usr/bin/env bats
# lsm-scan.1

load helper

# a store with its records in the log, in tables, and overwritten between
some_store() {
  printf '%s\told\n' a ab b c d | lsm-put
  lsm-flush
  printf '%s\tv\n' a ab b ba c | lsm-put
  lsm-flush
  printf '%s\tv\n' d e | lsm-put
}

@test "scan: prints all records in key order, the newest of each" {
  some_store
  [ "$(lsm-scan)" = "$(printf '%s\tv\n' a ab b ba c d e)" ]
}

@test "scan: an empty store prints nothing, status 0" {
  lsm-init
  run -0 --separate-stderr lsm-scan
  [ -z "$output$stderr" ]
  [ "$(lsm-scan --count)" = 0 ]
  [ -z "$(lsm-scan --reverse)" ]
}

# keys ARGS...: the keys a scan prints, on one line
keys() {
  lsm-scan --keys-only "$@" | tr '\n' ' '
}

@test "scan: --from is included, --to is not" {
  some_store
  [ "$(keys --from b)" = "b ba c d e " ]
  [ "$(keys --to b)" = "a ab " ]
  [ "$(keys --from ab --to d)" = "ab b ba c " ]
  [ "$(keys --from aa --to cc)" = "ab b ba c " ]
  [ -z "$(keys --from d --to b)" ]
  [ -z "$(keys --to '')" ]
  [ "$(keys --from '')" = "$(keys)" ]
}

@test "scan: --after goes on above its key" {
  some_store
  [ "$(keys --after b)" = "ba c d e " ]
  [ "$(keys --after bb)" = "c d e " ]
  [ "$(keys --after e)" = "" ]
  [ "$(keys --after b --from a)" = "ba c d e " ]
  [ "$(keys --after a --from c)" = "c d e " ]
}

@test "scan: pages by --limit and --after are the whole" {
  local last page
  seq -w 0 99 | sed 's/$/\tv/' | lsm-put
  : > paged
  page=$(lsm-scan --keys-only --limit 7)
  while [ -n "$page" ]; do
    printf '%s\n' "$page" >> paged
    last=${page##*$'\n'}
    page=$(lsm-scan --keys-only --limit 7 --after "$last")
  done
  lsm-scan --keys-only | cmp - paged
}

@test "scan: --prefix prints the keys that start with it" {
  some_store
  [ "$(keys --prefix a)" = "a ab " ]
  [ "$(keys --prefix b --from ba)" = "ba " ]
  [ "$(keys --prefix b --to ba)" = "b " ]
  [ -z "$(keys --prefix x)" ]
  [ "$(keys --prefix '')" = "$(keys)" ]
  lsm-put -x ffff 00
  lsm-put -x ff 00
  [ "$(lsm-scan -x --prefix ff --count)" = 2 ]
  [ "$(lsm-scan -x --prefix ffff --count)" = 1 ]
}

@test "scan: --reverse prints the same records from the other end" {
  local range
  some_store
  for range in "" "--from b" "--to b" "--from ab --to d" "--prefix b" \
    "--after b" "--from aa --to cc" "--prefix x"; do
    lsm-scan $range | tac > want
    lsm-scan $range --reverse | cmp - want
  done
  [ "$(keys --reverse --limit 2)" = "e d " ]
}

@test "scan: --limit N prints at most N" {
  some_store
  [ "$(keys --limit 2)" = "a ab " ]
  [ -z "$(keys --limit 0)" ]
  [ "$(keys --limit 100)" = "$(keys)" ]
  run -64 lsm-scan --limit x
  run -64 lsm-scan --limit -1
  run -64 lsm-scan --limit 99999999999999999999
}

@test "scan: --count prints the number alone" {
  some_store
  [ "$(lsm-scan --count)" = 7 ]
  [ "$(lsm-scan --count --prefix a)" = 2 ]
  [ "$(lsm-scan --count --limit 3)" = 3 ]
  lsm-del a
  [ "$(lsm-scan --count)" = 6 ]
}

@test "scan: -f prints nul and jsonl as well" {
  printf 'a\tx y\nb\\n\t\n' | lsm-put
  [ "$(lsm-scan -f nul | tr '\0' ,)" = $'a,x y,b\n,,' ]
  [ "$(lsm-scan -f jsonl)" = '{"key":"a","value":"x y"}
{"key":"b\n","value":""}' ]
  [ "$(lsm-scan -f nul --keys-only | tr '\0' ,)" = $'a,b\n,' ]
}

@test "scan: -f nul refuses a NUL, status 65, after the records before it" {
  lsm-put a 1
  lsm-put -x 62 00
  run -65 --separate-stderr lsm-scan -f nul
  one_message_of lsm-scan
  [ "$(lsm-scan -f nul 2> /dev/null | tr '\0' ,)" = a,1, ]
}

@test "scan: one moment, whatever is written, flushed and merged meanwhile" {
  seq -f '%06.0f' 60000 | sed 's/$/\tbefore/' > want
  lsm-put < want
  lsm-flush
  mkfifo pipe
  lsm-scan > pipe 3>&- &
  exec 4< pipe
  head -c 100 <&4 > got
  seq -f '%06.0f' 60000 | sed 's/$/\tafter/' | lsm-put
  seq 60000 70000 | sed 's/$/\tnew/' | lsm-put
  lsm-flush
  lsm-compact --all
  lsm-flush
  cat <&4 >> got
  exec 4<&-
  wait $!
  cmp got want
}

@test "scan: a large value streams through a small address space" {
  ! sanitized || skip "a sanitizer needs a large one"
  head -c 50000000 /dev/zero | lsm-put big -
  lsm-flush
  [ "$(bash -c 'ulimit -v 40000; lsm-scan' | wc -c)" -eq 100000005 ]
}

# more than one part (bin/parts.h), in runs, a log, and with deletes
large_store() {
  seq -w 0 199999 | sed 's/$/\tthe first value of it/' | lsm-put
  seq -w 0 7 199999 | sed 's/$/\tthe second/' | lsm-put
  lsm-flush
  seq -w 5 11 199999 | lsm-del
  head -c 3000000 /dev/zero | tr '\0' x | lsm-put 100000x -
  lsm-scan --reverse | tac > want # by one thread
}

@test "scan: several threads print what one would" {
  local format
  large_store
  lsm-scan > got
  cmp want got
  [ "$(lsm-scan --count)" -eq "$(wc -l < want)" ]
  lsm-scan --from 04 --to 15 > got
  cmp <(awk -F '\t' '$1 >= "04" && $1 < "15"' want) got
  lsm-scan --prefix 1 > got
  cmp <(grep '^1' want) got
  lsm-scan --after 099999 > got
  cmp <(awk -F '\t' '$1 > "099999"' want) got
  lsm-scan --keys-only > got
  cmp <(cut -f 1 want) got
  for format in nul jsonl; do
    lsm-scan -f $format | lsm-put -d copy -f $format
    lsm-scan -d copy > got
    cmp want got
    rm -r copy
  done
}

@test "scan: before damage all is printed that one thread would, nothing after" {
  local f size at
  large_store
  lsm-compact -q --all
  f=$(ls -S data/*.sst | head -1)
  size=$(stat -c %s "$f")
  cp "$f" sound
  # data; the index, which a cut reads, too; its root
  for at in $((size / 2)) $((size - 12000)) $((size - 6000)) $((size - 1500)); do
    chmod u+w "$f"
    cat sound > "$f"
    printf 'damage' | dd of="$f" bs=1 seek="$at" conv=notrunc status=none
    echo "at $at of $size"
    run --separate-stderr bash -c 'lsm-scan --limit 99999999 > one'
    [ "$status" -eq 65 ] || [ "$status" -eq 0 ] # a filter is not read
    run "-$status" --separate-stderr bash -c 'lsm-scan > got'
    [ "$status" -eq 0 ] || [ "${#stderr_lines[@]}" -eq 1 ]
    [ "$status" -eq 0 ] || [[ $stderr == *"${f##*/}"* ]]
    cmp one got
    cmp -n "$(stat -c %s got)" want got
    [ "$at" -ne $((size / 2)) ] || [ "$status" -eq 65 ]
  done
}

@test "scan: ends when nobody reads on, and when the disk is full" {
  large_store
  [ "$(lsm-scan | head -2)" = "$(head -2 want)" ]
  run timeout 10 bash -c 'lsm-scan | head -1; exit ${PIPESTATUS[0]}'
  [ "$status" -eq 141 ]
  run -74 --separate-stderr bash -c 'lsm-scan > /dev/full'
  [ "${#stderr_lines[@]}" -eq 1 ]
}
