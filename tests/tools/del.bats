#!/usr/bin/env bats
# lsm-del.1

# shellcheck disable=SC2154  # bats sets stderr

load helper

@test "del: a deleted key is absent, in the log and in tables" {
  printf 'a\t1\nb\t2\n' | lsm-put
  lsm-del a
  run -1 lsm-get a
  lsm-flush
  run -1 lsm-get a
  lsm-del b
  run -1 lsm-get b
  lsm-flush
  lsm-compact --all
  [ "$(lsm-scan --count)" = 0 ]
}

@test "del: deleting an absent key succeeds" {
  lsm-init
  lsm-del nosuch
}

@test "del: several keys at once, and keys from stdin" {
  printf '%s\tv\n' a b c d e | lsm-put
  lsm-del a b
  [ "$(lsm-scan --keys-only)" = $'c\nd\ne' ]
  printf 'c\nd' | lsm-del
  [ "$(lsm-scan --keys-only)" = e ]
  lsm-scan -f jsonl --keys-only | lsm-del -f jsonl
  [ "$(lsm-scan --count)" = 0 ]
}

@test "del: every byte in a key from stdin" {
  odd_records nul | lsm-put
  lsm-scan --keys-only | lsm-del
  [ "$(lsm-scan --count)" = 0 ]
}

@test "del: a bad key on stdin is status 65; what precedes is deleted" {
  printf '%s\tv\n' a b c | lsm-put
  run -65 --separate-stderr lsm-del <<< $'a\nb\tv\nc'
  one_message_of lsm-del
  [[ $stderr == *"line 2"* ]]
  [ "$(lsm-scan --keys-only)" = $'b\nc' ]
}

@test "del: --prefix, --from and --to delete a range" {
  printf '%s\tv\n' a aa ab b ba c d | lsm-put
  lsm-del --prefix a
  [ "$(lsm-scan --keys-only)" = $'b\nba\nc\nd' ]
  lsm-del --from ba --to d
  [ "$(lsm-scan --keys-only)" = $'b\nd' ]
  lsm-del --to c
  [ "$(lsm-scan --keys-only)" = d ]
  lsm-del --from a
  [ "$(lsm-scan --count)" = 0 ]
}

@test "del: a prefix of 0xff bytes is a prefix like any other" {
  lsm-put -x ff 00
  lsm-put -x ffff 00
  lsm-put -x fffe 00
  lsm-put k v
  lsm-del -x --prefix ffff
  [ "$(lsm-scan --count)" = 3 ]
  lsm-del -x --prefix ff
  [ "$(lsm-scan --keys-only)" = k ]
}

@test "del: a range is one atomic batch" {
  needs_strace
  seq 1000 | sed 's/$/\tv/' | lsm-put
  strace -f -qq -o trace -e trace=fdatasync lsm-del --all
  [ "$(grep -c fdatasync trace)" -eq 1 ]
  [ "$(lsm-scan --count)" = 0 ]
}

@test "del: a range that does not fit one batch is status 64, nothing deleted" {
  lsm-init write_buffer=1M
  seq -f '%080.0f' 30000 | sed 's/$/\tv/' | lsm-put
  run -64 --separate-stderr lsm-del --all
  one_message_of lsm-del
  [[ $stderr == *"nothing was deleted"* ]]
  [ "$(lsm-scan --count)" = 30000 ]
}

@test "del: everything needs --all, an empty prefix does not do" {
  printf '%s\tv\n' a b | lsm-put
  run -64 --separate-stderr lsm-del --prefix ''
  one_message_of lsm-del
  run -64 lsm-del --from ''
  run -64 lsm-del --all a
  run -64 lsm-del --all --prefix a
  run -64 lsm-del --prefix a a
  run -64 lsm-del ''
  [ "$(lsm-scan --count)" = 2 ]
  lsm-del --all
  [ "$(lsm-scan --count)" = 0 ]
}

@test "del: -n prints what would go, and deletes nothing" {
  printf '%s\tv\n' a aa b | lsm-put
  [ "$(lsm-del -n --prefix a)" = $'a\naa' ]
  [ "$(lsm-del -n --all -f jsonl | head -n 1)" = '{"key":"a"}' ]
  [ "$(lsm-del -n b nosuch)" = b ]
  [ "$(printf 'nosuch\naa\n' | lsm-del -n)" = aa ]
  [ "$(lsm-scan --count)" = 3 ]
}

@test "del: what a page of scan prints, del takes" {
  seq -w 100 | sed 's/$/\tv/' | lsm-put
  lsm-scan --prefix 0 --keys-only | lsm-del
  [ "$(lsm-scan --keys-only)" = 100 ]
}
