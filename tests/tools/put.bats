#!/usr/bin/env bats
# lsm-put.1

# shellcheck disable=SC2154  # bats sets stderr

load helper

@test "put: stores a value, and the last one wins" {
  lsm-put k first
  lsm-put k second
  [ "$(lsm-get k)" = second ]
}

@test "put: an empty value is a value" {
  lsm-put k ''
  run -0 lsm-get k
  [ -z "$output" ]
}

@test "put: an empty key is status 64 and creates no store" {
  run -64 --separate-stderr lsm-put '' v
  one_message_of lsm-put
  [ ! -e data ]
}

@test "put: a key of 65,535 bytes is taken, one more is status 64" {
  local key
  key=$(head -c 65535 /dev/zero | tr '\0' k)
  run -64 --separate-stderr lsm-put "${key}k" v
  one_message_of lsm-put
  [ ! -e data ]
  lsm-put "$key" v
  [ "$(lsm-get "$key")" = v ]
  [ "$(lsm-scan --keys-only)" = "$key" ]
}

@test "put: KEY - takes the value from stdin, byte for byte" {
  head -c 100000 /dev/urandom > value
  printf '\0\n' >> value
  lsm-put k - < value
  lsm-get k | cmp - value
  lsm-put k - < /dev/null
  [ -z "$(lsm-get k)" ]
}

@test "put: a value of several MiB comes back whole, from log and table" {
  head -c 5000000 /dev/urandom > value
  lsm-put k - < value
  lsm-get k | cmp - value
  lsm-flush
  lsm-get k | cmp - value
  lsm-scan | lsm-put -d copy
  lsm-get -d copy k | cmp - value
}

@test "put: one operand, or three, is status 64" {
  run -64 --separate-stderr lsm-put k
  one_message_of lsm-put
  run -64 lsm-put k v w
  run -64 lsm-put -f tsv k v
  run -64 lsm-put --atomic k v
  run -64 lsm-put -x < /dev/null
  run -64 lsm-put --batch-size 0 < /dev/null
  run -64 lsm-put --batch-size many < /dev/null
  run -64 lsm-put --sync perhaps k v
  run -64 lsm-put -f xml < /dev/null
  [ ! -e data ]
}

@test "put: no input is no record and no error" {
  lsm-put < /dev/null
  [ "$(lsm-scan --count)" = 0 ]
}

@test "put: every byte in keys and values round-trips in every format" {
  local f
  odd_records nul > records
  lsm-put < records
  lsm-scan > want
  [ "$(wc -l < want)" -eq 256 ]
  [ "$(sort records)" = "$(sort want)" ]
  for f in tsv jsonl; do
    lsm-scan -f $f | lsm-put -d copy-$f -f $f
    lsm-scan -d copy-$f | cmp - want
  done
  lsm-del -x 6b00
  lsm-scan > want
  lsm-scan -f nul | lsm-put -d copy-nul -f nul
  lsm-scan -d copy-nul | cmp - want
}

@test "put: tsv: the key ends at the first TAB" {
  printf 'k\ta\tb\n' | lsm-put
  [ "$(lsm-get k)" = $'a\tb' ]
}

@test "put: tsv: the last LF may be missing" {
  printf 'a\t1\nb\t2' | lsm-put
  [ "$(lsm-get b)" = 2 ]
}

@test "put: tsv: CR is a byte of the value" {
  printf 'a\t1\r\n' | lsm-put
  [ "$(lsm-get a | od -An -tx1)" = " 31 0d" ]
}

@test "put: tsv: every escape is read" {
  printf '%s\n' 'a\t\n\r\0\\\x41\xfF	v' | lsm-put
  [ "$(lsm-get -x 61090a0d005c41ff)" = v ]
}

@test "put: tsv: a bad record is status 65 with its line; what precedes is kept" {
  local bad
  for bad in 'no tab' '' 'k\q	v' 'k	v\' '	empty key' 'k	\x4'; do
    rm -rf data
    printf 'a\t1\nb\t2\n%s\nc\t3\n' "$bad" > records
    run -65 --separate-stderr lsm-put < records
    one_message_of lsm-put
    [[ $stderr == *"line 3"* ]]
    [ "$(lsm-scan)" = $'a\t1\nb\t2' ]
  done
}

@test "put: nul: a record cut short is status 65 with its offset" {
  run -65 --separate-stderr bash -c "printf 'a\0001\000b\0002' | lsm-put -f nul"
  one_message_of lsm-put
  [[ $stderr == *"offset 4"* ]]
  [ "$(lsm-scan)" = $'a\t1' ]
}

@test "put: nul: takes what find -print0 and xargs -0 speak" {
  printf 'k\0v\nw\0' | lsm-put -f nul
  [ "$(lsm-get k)" = $'v\nw' ]
}

@test "put: jsonl: what jq writes, in any order of members" {
  printf '%s\n' '{"value":"1","key":"a"}' '{"key":"b","value_base64":"/w=="}' |
    lsm-put -f jsonl
  [ "$(lsm-scan)" = $'a\t1\nb\t\xff' ]
  [ "$(lsm-scan -f jsonl)" = '{"key":"a","value":"1"}
{"key":"b","value_base64":"/w=="}' ]
}

@test "put: jsonl: a bad record is status 65 with its line" {
  run -65 --separate-stderr lsm-put -f jsonl <<< '{"key":"a","value":"1"}
{"key":"b"}'
  one_message_of lsm-put
  [[ $stderr == *"line 2"* ]]
  [ "$(lsm-scan)" = $'a\t1' ]
}

@test "put: jsonl: a framed stream that is cut short is status 65" {
  run -65 --separate-stderr lsm-put -f jsonl <<< '{"lsm_records":1}
{"key":"a","value":"1"}'
  one_message_of lsm-put
  lsm-put -f jsonl <<< '{"lsm_records":1}
{"key":"a","value":"1"}
{"end":true,"records":1,"checksum":"dc92144dc2a80100"}'
  [ "$(lsm-get a)" = 1 ]
}

@test "put: a key over its limit in a record is status 65" {
  { printf 'a\t1\n'; head -c 65536 /dev/zero | tr '\0' k; printf '\tv\n'; } > in
  run -65 --separate-stderr lsm-put < in
  [[ $stderr == *"line 2"* ]]
  [ "$(lsm-scan)" = $'a\t1' ]
  head -c 300000 /dev/zero | tr '\0' k > in
  run -65 lsm-put < in
}

@test "put: what was read is durable and visible when the input pauses" {
  mkfifo pipe
  lsm-put < pipe 3>&- &
  exec 4> pipe
  printf 'a\t1\n' >&4
  eventually lsm-get -e a
  printf 'b\t2\nc' >&4
  eventually lsm-get -e b
  printf '\t3\n' >&4
  eventually lsm-get -e c
  exec 4>&-
  wait $!
  [ "$(lsm-scan --count)" = 3 ]
}

@test "put: --batch-size N commits every N records" {
  needs_strace
  lsm-init
  lsm-put start up
  seq 10 | sed 's/$/\tv/' > records
  strace -f -qq -o trace -e trace=fdatasync lsm-put --batch-size 2 < records
  [ "$(grep -c fdatasync trace)" -eq 5 ]
  strace -f -qq -o trace -e trace=fdatasync lsm-put < records
  [ "$(grep -c fdatasync trace)" -eq 1 ]
  [ "$(lsm-scan --count)" = 11 ]
}

@test "put: --sync=none syncs nothing and is visible at once" {
  needs_strace
  lsm-put start up
  strace -f -qq -o trace -e trace=fdatasync,fsync lsm-put --sync=none k v
  [ ! -s trace ]
  [ "$(lsm-get k)" = v ]
}

@test "put: an input larger than the write buffer goes through in pieces" {
  lsm-init write_buffer=1M
  seq -f '%08.0f' 100000 | sed 's/$/\tsome value of some length/' > records
  lsm-put < records
  lsm-scan | cmp - records
}

@test "put: a value larger than the write buffer goes in by itself" {
  lsm-init write_buffer=1M
  head -c 3000000 /dev/zero | tr '\0' v > value
  { printf 'a\t1\nb\t'; cat value; printf '\nc\t3\n'; } | lsm-put
  lsm-put d - < value
  lsm-get b | cmp - value
  lsm-get d | cmp - value
  [ "$(lsm-scan --count)" = 4 ]
}

@test "put: a value from stdin takes memory for itself twice, and no more" {
  ! sanitized || skip "a sanitizer's memory is its own"
  head -c 67108864 /dev/urandom > value
  peak=$(python3 - <<'PY'
import resource, subprocess
subprocess.run(['lsm-put', 'k', '-'], stdin=open('value'), check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
PY
  )
  [ "$peak" -lt 144 ]
  lsm-get k | cmp - value
}

@test "put: --atomic applies all of the input or nothing" {
  printf 'a\t1\nb\t2\nbad\n' > records
  run -65 lsm-put --atomic < records
  [ "$(lsm-scan --count)" = 0 ]
  head -n 2 records | lsm-put --atomic
  [ "$(lsm-scan)" = $'a\t1\nb\t2' ]
  run -64 lsm-put --atomic --batch-size 2 < records
}

@test "put: --atomic is all or nothing at any size" {
  lsm-init write_buffer=1M load_memory=3M
  lsm-put 00050000 before
  seq -f '%08.0f' 100000 | sed 's/$/\tsome value of some length/' > records
  sed '$ s/\t.*//' records > bad
  run -65 lsm-put --atomic < bad
  [ "$(lsm-scan)" = $'00050000\tbefore' ]
  [ "$(find data -name '*.sst*' | wc -l)" -eq 0 ]
  lsm-put --atomic < records
  lsm-scan | cmp - records
  [ "$(find data -name '*.sst' | wc -l)" -gt 2 ]
}

@test "put: a killed --atomic has applied nothing, and leaves nothing" {
  lsm-init write_buffer=1M load_memory=3M
  seq -f '%08.0f' 2000000 | sed 's/$/\tsome value of some length/' > records
  lsm-put --atomic < records 3>&- &
  eventually compgen -G 'data/*.sst.tmp'
  kill -9 $!
  wait $! || true
  [ "$(lsm-scan --count)" = 0 ]
  lsm-flush
  [ -z "$(find data -name '*.sst*')" ]
}

@test "put: what fills load_memory is written as tables, and not to the log" {
  lsm-init load_memory=3M
  seq -f '%08.0f' 100000 | sed 's/$/\tsome value of some length/' > records
  lsm-put < records
  [ "$(cat data/*.wal | wc -c)" -lt 1000000 ]
  [ "$(find data -name '*.sst' | wc -l)" -gt 2 ]
  lsm-scan | cmp - records
  lsm-verify
}

@test "put: loaded records hide older ones and are hidden by newer ones" {
  lsm-init load_memory=3M write_buffer=64K
  seq -f '%08.0f' 100000 > keys
  sed 's/$/\tfirst value of some length/' keys | lsm-put
  sed 's/$/\tlogged/' keys | head -n 3000 | lsm-put
  shuf --random-source=keys keys | sed 's/$/\tsecond value of some length/' |
    lsm-put
  lsm-put 00000007 third
  [ "$(lsm-get 00000007)" = third ]
  [ "$(lsm-get 00000008)" = "second value of some length" ]
  [ "$(lsm-scan | grep -c $'\tsecond')" -eq 99999 ]
  lsm-verify
}

@test "put: the last of several records of one key is kept, wherever they stand" {
  lsm-init load_memory=3M
  { seq -f '%05.0f' 40000; seq -f '%05.0f' 40000; seq -f '%05.0f' 40000; } |
    awk '{ print $1 "\tvalue number " NR }' > records
  lsm-put < records
  lsm-scan | cmp - <(tail -n 40000 records)
}

@test "put: sorted input makes one run below level 0, not many in it" {
  lsm-init load_memory=3M
  seq -f '%08.0f' 300000 | sed 's/$/\tsome value of some length/' > records
  lsm-put < records
  [ "$(lsm-dump | jq -c '.levels | map(length)')" = '[0,1]' ]
  lsm-scan | cmp - records
}

@test "put: into a store that is there creates no file" {
  local before
  lsm-put a 1
  before=$(files)
  lsm-put b 2
  printf 'c\t3\n' | lsm-put
  lsm-del a
  lsm-get b
  [ "$(files)" = "$before" ]
}

@test "put: 200 at once under xargs: all kept, every status 0, no new file" {
  local before
  lsm-put start up
  before=$(files)
  seq 200 | xargs -P 8 -I N lsm-put key-N value-N
  [ "$(lsm-scan --prefix key- --count)" -eq 200 ]
  seq 200 | sed 's/.*/key-&\tvalue-&/' | sort > want
  lsm-scan --prefix key- | cmp - want
  [ "$(files)" = "$before" ]
}

@test "put: the first ones at once create one store" {
  seq 16 | xargs -P 8 -I N lsm-put key-N value-N
  [ "$(lsm-scan --count)" -eq 16 ]
}

@test "put: a value is there while others load and flush" {
  local n=0
  lsm-init write_buffer=1M
  lsm-put fixed value
  seq -f '%09.0f' 200000 | sed 's/$/\tsome value of some length/' |
    lsm-put 3>&- &
  while kill -0 $! 2> /dev/null; do
    [ "$(lsm-get fixed)" = value ]
    n=$((n + 1))
  done
  wait $!
  [ "$n" -gt 0 ]
  [ "$(lsm-scan --count)" -eq 200001 ]
}

@test "put: killed while it loads, what it made visible is a prefix" {
  local n
  lsm-init write_buffer=1M load_memory=3M
  seq -f '%09.0f' 1000000 | sed 's/$/\tvalue/' > records
  lsm-put < records 3>&- &
  eventually lsm-get -e 000000001
  kill -9 $!
  wait $! || true
  n=$(lsm-scan --count)
  [ "$n" -gt 0 ]
  head -n "$n" records > want
  lsm-scan | cmp - want
  lsm-put after it
  [ "$(lsm-scan --count)" -eq $((n + 1)) ]
}
