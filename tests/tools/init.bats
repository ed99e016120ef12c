#!/usr/bin/env bats
# lsm-init.1

load helper

@test "init: creates a store that the others find" {
  lsm-init
  [ -e data/MANIFEST.json ]
  [ "$(lsm-scan --count)" = 0 ]
  lsm-put k v
}

@test "init: a store that is there is status 73 and stays as it is" {
  lsm-put k v
  run -73 --separate-stderr lsm-init write_buffer=8M
  one_message_of lsm-init
  [ "$(lsm-get k)" = v ]
}

@test "init: of many at once exactly one creates" {
  for _ in {1..8}; do
    { lsm-init 2> /dev/null && echo created; } 3>&- >> log &
  done
  wait
  [ "$(cat log)" = created ]
}

@test "init: options are kept in the manifest" {
  lsm-init --compression none write_buffer=8M level_ratio=4
  [ "$(jq -r .options.write_buffer data/MANIFEST.json)" = 8388608 ]
  [ "$(jq -r .options.level_ratio data/MANIFEST.json)" = 4 ]
  jq -e '.options.compression == "none"' data/MANIFEST.json
  jq -e '.options.compression_last == "none"' data/MANIFEST.json
}

@test "init: an operand says otherwise of a level than --compression" {
  lsm-init --compression lz4 compression_last=none
  jq -e '.options.compression == "lz4"' data/MANIFEST.json
  jq -e '.options.compression_last == "none"' data/MANIFEST.json
}

@test "init: every compression stores and finds" {
  local c
  for c in none lz4 zstd; do
    lsm-init -d $c --compression $c
    seq 2000 | sed 's/$/\tthe same text again and again/' > records
    lsm-put -d $c < records
    lsm-flush -d $c
    sort records > want
    lsm-scan -d $c | cmp - want
  done
}

@test "init: a wrong option, value or codec is status 78, nothing created" {
  local bad
  for bad in nosuch=1 write_buffer=0 write_buffer=many compression=rar; do
    run -78 --separate-stderr lsm-init "$bad"
    one_message_of lsm-init
  done
  run -78 lsm-init --compression rar
  run -78 lsm-init --compression zlib
  run -78 lsm-init --strategy 'no such'
  [ ! -e data ]
  mkdir data
  run -78 lsm-init compression=rar
  [ -z "$(files)" ]
}

@test "init: an operand that is not NAME=VALUE is status 64" {
  run -64 --separate-stderr lsm-init write_buffer
  one_message_of lsm-init
  run -64 lsm-init =1
  [ ! -e data ]
}
