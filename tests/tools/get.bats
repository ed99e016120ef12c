#!/usr/bin/env bats
# lsm-get.1

load helper

@test "get: one key: exactly the bytes of its value" {
  lsm-put k value
  [ "$(lsm-get k | od -An -c)" = "   v   a   l   u   e" ]
}

@test "get: on a terminal a newline is added" {
  command -v script > /dev/null || skip "no script"
  lsm-put k value
  script -qec "lsm-get k" /dev/null < /dev/null | od -An -tx1 > out
  [ "$(cat out)" = " 76 61 6c 75 65 0d 0a" ]
}

@test "get: an absent key is status 1 with both streams silent" {
  lsm-put k v
  run -1 --separate-stderr lsm-get nosuch
  [ -z "$output$stderr" ]
  run -1 --separate-stderr lsm-get -f jsonl nosuch
  [ -z "$output$stderr" ]
}

@test "get: an empty store has no key" {
  lsm-init
  run -1 lsm-get k
}

@test "get: several keys are records in the order asked, absent ones left out" {
  printf 'a\t1\nb\t2\nc\t3\n' | lsm-put
  [ "$(lsm-get c a)" = $'c\t3\na\t1' ]
  run -1 --separate-stderr lsm-get c nosuch b c
  [ "$output" = $'c\t3\nb\t2\nc\t3' ]
  [ -z "$stderr" ]
}

@test "get: -f makes a record of a single key" {
  lsm-put k v
  [ "$(lsm-get -f tsv k)" = $'k\tv' ]
  [ "$(lsm-get -f jsonl k)" = '{"key":"k","value":"v"}' ]
  [ "$(lsm-get -f nul k | tr '\0' ,)" = k,v, ]
}

@test "get: -f nul refuses a value with a NUL, status 65, and writes none of it" {
  printf 'a\0' | lsm-put k -
  lsm-put l w
  run -65 --separate-stderr lsm-get -f nul l k
  [[ $stderr == *NUL* ]]
  [ "$(lsm-get -f nul l k 2> /dev/null | tr '\0' ,)" = l,w, ]
}

@test "get: keys from stdin, in every format" {
  printf 'a\t1\nb\\tc\t2\n' | lsm-put
  [ "$(printf 'b\\tc\na\n' | lsm-get)" = $'b\\tc\t2\na\t1' ]
  [ "$(printf 'a\0b\tc\0' | lsm-get -f nul | tr '\0' ,)" = $'a,1,b\tc,2,' ]
  [ "$(echo '{"key":"a"}' | lsm-get -f jsonl)" = '{"key":"a","value":"1"}' ]
  run -1 --separate-stderr lsm-get <<< nosuch
  [ -z "$output$stderr" ]
  run -0 lsm-get < /dev/null
}

@test "get: a bad key on stdin is status 65 with its line, what precedes answered" {
  lsm-put a 1
  run -65 --separate-stderr lsm-get <<< $'a\nb\tc'
  [ "$output" = $'a\t1' ]
  one_message_of lsm-get
  [[ $stderr == *"line 2"* ]]
}

@test "get: a key from stdin is looked up after it was read, and answered at once" {
  lsm-init
  mkfifo ask answer
  lsm-get < ask > answer 3>&- &
  exec 4> ask 5< answer
  lsm-put k first
  echo k >&4
  read -r line <&5
  [ "$line" = $'k\tfirst' ]
  lsm-put k second
  echo k >&4
  read -r line <&5
  [ "$line" = $'k\tsecond' ]
  lsm-flush
  lsm-put k third
  echo k >&4
  read -r line <&5
  [ "$line" = $'k\tthird' ]
  exec 4>&- 5<&-
  wait $!
}

@test "get: -e prints nothing, the status tells" {
  printf 'a\t1\nb\t2\n' | lsm-put
  run -0 --separate-stderr lsm-get -e a b
  [ -z "$output$stderr" ]
  run -1 --separate-stderr lsm-get -e a nosuch
  [ -z "$output$stderr" ]
  run -0 lsm-get -e a >&-
  run -1 lsm-get -e <<< nosuch
}

@test "get: --missing prints the absent keys alone" {
  printf 'a\t1\nb\t2\n' | lsm-put
  run -1 lsm-get --missing a x b $'y\tz'
  [ "$output" = $'x\ny\\tz' ]
  run -0 lsm-get --missing a b
  [ -z "$output" ]
  [ "$(printf 'x\na\n' | lsm-get --missing)" = x ]
}

@test "get: an empty key, or one over its limit, is status 64" {
  lsm-put k v
  run -64 --separate-stderr lsm-get ''
  one_message_of lsm-get
  run -64 --separate-stderr lsm-get k ''
  [ -z "$output" ]
  run -64 lsm-get "$(head -c 65536 /dev/zero | tr '\0' k)"
}

@test "get: a table cut short is status 65, never a wrong value" {
  local table
  lsm-put k v
  lsm-flush
  for table in data/*.sst; do
    chmod u+w "$table"
    truncate -s -1 "$table"
  done
  run -65 --separate-stderr lsm-get k
  [ -z "$output" ]
  one_message_of lsm-get
  [[ $stderr == *.sst* ]]
}

@test "get: many keys at once are answered in the order asked, whatever is where" {
  lsm-init write_buffer=64K table_bytes=32K maintenance=cron
  seq -f '%06.0f' 1 3 20000 | sed 's/$/\told/' | lsm-put
  lsm-flush
  seq -f '%06.0f' 1 5 20000 | sed 's/$/\tnew/' | lsm-put
  lsm-flush
  seq -f '%06.0f' 1 7 20000 | lsm-del
  head -c 100000 /dev/zero | tr '\0' v | lsm-put 000100 -
  seq -f '%06.0f' 20000 | shuf --random-source=<(yes) > keys
  awk '{ n = $1 + 0; if (n == 100) { $0 = sprintf("%100000s", ""); gsub(/ /, "v"); print "000100\t" $0 }
         else if (n % 7 == 1) next
         else if (n % 5 == 1) print $1 "\tnew"
         else if (n % 3 == 1) print $1 "\told" }' keys > want
  run -1 --separate-stderr lsm-get < keys
  lsm-get < keys > out || true
  cmp out want
  awk '{ print $1 }' want | cat - keys | sort | uniq -u > absent
  lsm-get --missing < keys | sort | cmp - absent
}

@test "get: a stream of large values keeps to its memory and its order" {
  for i in 1 2 3 4; do
    head -c 20000000 /dev/urandom | base64 -w0 | lsm-put "large$i" -
  done
  seq 1000 | sed 's/$/\tsmall/' | lsm-put
  { seq 500; echo large1; echo large2; seq 501 1000; echo large3; echo large4; } > keys
  # a sanitizer keeps memory of its own: then for the order alone
  ( sanitized || ulimit -d 200000; tr '\n' '\0' < keys | lsm-get -f nul | cksum > a )
  while read -r k; do printf '%s\0' "$k"; lsm-get "$k"; printf '\0'; done < keys | cksum > b
  cmp a b
}

# A store of 000001 to 020000, every third of them deleted; `keys` asks for
# each ten times, `want` is the answer.  More than one batch, by several
# threads.
many_keys() {
  lsm-init write_buffer=64K table_bytes=32K maintenance=cron
  seq -f '%06.0f' 20000 | sed 's/.*/&\tvalue of &/' | lsm-put
  lsm-flush
  seq -f '%06.0f' 3 3 20000 | lsm-del
  for i in {1..10}; do seq -f '%06.0f' 20000; done | shuf --random-source=<(yes) > keys
  awk '$1 % 3 { print $1 "\tvalue of " $1 }' keys > want
}

@test "get: a key that is asked for again and again is answered each time" {
  many_keys
  lsm-get < keys > out || [ $? -eq 1 ]
  cmp out want
  awk '$1 % 3 == 0' keys > want.absent
  run -1 --separate-stderr lsm-get --missing < keys
  lsm-get --missing < keys > out || [ $? -eq 1 ]
  cmp out want.absent
  run -1 --separate-stderr lsm-get -e < keys
  [ -z "$output$stderr" ]
  awk '$1 % 3' keys > present
  lsm-get -e < present
  lsm-get < present | cmp - want
}

@test "get: a bad key behind many is told after all of them are answered" {
  many_keys
  { cat keys; printf 'b\tc\n'; cat keys; } > bad
  local status=0
  lsm-get < bad > out 2> message || status=$?
  [ $status -eq 65 ]
  cmp out want
  [ "$(wc -l < message)" -eq 1 ]
  grep -q 'line 200001' message
}

@test "get: many keys before a pause are all answered in it" {
  many_keys
  mkfifo ask answer
  lsm-get < ask > answer 3>&- &
  exec 4> ask 5< answer
  cat keys >&4
  timeout 60 head -n "$(wc -l < want)" <&5 | cmp - want
  lsm-put 000001 new
  echo 000001 >&4
  read -r -t 60 line <&5
  [ "$line" = $'000001\tnew' ]
  echo 000003 >&4
  exec 4>&-
  [ -z "$(cat <&5)" ]
  exec 5<&-
  local status=0
  wait $! || status=$?
  [ $status -eq 1 ]
}

@test "get: the answers to many keys that cannot be written are status 74, once" {
  many_keys
  { cat keys; printf 'b\tc\n'; } > bad
  for i in keys bad; do
    run -74 --separate-stderr sh -c 'lsm-get < $1 > /dev/full' - $i
    one_message_of lsm-get
    [[ $stderr == *space* ]]
  done
  run -74 sh -c 'lsm-get --missing < keys > /dev/full'
}

@test "get: who reads the answers to many keys may stop: that is SIGPIPE" {
  many_keys
  for i in {1..20}; do cat keys; done > many
  run -0 bash -c 'lsm-get < many | head -n 1; [ "${PIPESTATUS[0]}" -eq 141 ]'
  [ "$output" = "$(head -n 1 want)" ]
}

@test "get: a table that is missing is damage, whether one key is asked or many" {
  many_keys
  rm -f data/*.sst
  run -65 --separate-stderr lsm-get < keys
  [[ $stderr == *.sst* ]]
  run -65 --separate-stderr lsm-get 000001
  [[ $stderr == *.sst* ]]
}

@test "get: a damaged table ends many answers with status 65, all of them right" {
  many_keys
  local table status=0
  table=$(find data -name '*.sst' | sort | head -n 1)
  chmod u+w "$table"
  printf X | dd of="$table" bs=1 seek=100 conv=notrunc status=none
  lsm-get < keys > out 2> message || status=$?
  [ $status -eq 65 ]
  [ "$(wc -l < message)" -eq 1 ]
  grep -qF "$table" message
  head -c "$(stat -c %s out)" want | cmp - out
}
