#!/usr/bin/env bats
# lsm-dump.1, formats/dump.md

load helper

# a store with tables, a log, deletes, odd keys and a large value
some_store() {
  printf '%s\told\n' a ab b c d | lsm-put
  lsm-put -x 00ff 0a00
  lsm-flush
  seq -f 'k%03.0f' 200 | sed 's/$/\tvalue/' | lsm-put
  head -c 100000 /dev/zero | lsm-put large -
  lsm-del b k007
  lsm-flush
  printf '%s\tnew\n' c e f | lsm-put
  lsm-put e newer
  lsm-del f
}

# dump FILTER [ARGS...]: what jq makes of a dump
dump() {
  local filter=$1
  shift
  lsm-dump "$@" | jq -r "$filter"
}

@test "dump: the store is one JSON document that tells what it is" {
  some_store
  [ "$(dump '.trusted, .manifest, .strategy' | tr '\n' ' ')" = \
    "true published leveled " ]
  [ "$(dump .generation)" = "$(jq .generation data/MANIFEST.json)" ]
  [ "$(dump .options -d data)" = "$(jq .options data/MANIFEST.json)" ]
  [ "$(dump '.levels | map(map(length))' | jq -c .)" = '[[1,1]]' ]
  [ "$(dump '.levels[0][0][0].tombstones')" = 2 ]
  [ "$(dump '.levels[0][1][0].smallest_base64')" = "$(printf '\0\xff' | base64)" ]
  [ "$(dump '.levels[0][1][0].largest')" = d ]
  [ "$(dump '.logs | length')" = 1 ]
  [ "$(dump '.logs[0] | .entries, .batches, .height, .poisoned' |
    tr '\n' ' ')" = "3 3 0 false " ]
  [ "$(dump '.logs[0] | .published == .synced and .published < .bytes')" = true ]
}

@test "dump: an empty store, and none" {
  lsm-init
  [ "$(dump '.generation, (.logs | length), (.levels | length)' |
    tr '\n' ' ')" = "1 0 0 " ]
  run -66 --separate-stderr lsm-dump -d nosuch
  [ -z "$output" ]
  one_message_of lsm-dump
  mkdir empty
  run -66 --separate-stderr lsm-dump -d empty
  [ -z "$output" ]
  run -66 --separate-stderr lsm-dump nosuch.sst
  [ -z "$output" ]
  one_message_of lsm-dump
}

@test "dump: every file in the directory has its kind and standing" {
  some_store
  cp "$(ls data/*.sst | head -n 1)" data/000099.sst
  : > data/notes.txt
  : > data/000098.ver.tmp
  [ "$(dump '.files[].name')" = "$(files | sort)" ]
  [ "$(dump '.files[] | select(.name == "000099.sst") | .standing')" = orphan ]
  [ "$(dump '.files[] | select(.name == "notes.txt") | .standing')" = foreign ]
  [ "$(dump '.files[] | select(.name == "000098.ver.tmp") | .standing')" = \
    temporary ]
  [ "$(dump '[.files[] | select(.kind == "table" and .standing == "named")]
    | length')" = 2 ]
  [ "$(dump '.files[] | select(.standing == "image") | .name')" = \
    "$(basename data/*.ver)" ]
  hold_lock $((4294967296 + 99))
  [ "$(dump '.files[] | select(.name == "000099.sst") | .standing')" = claimed ]
}

@test "dump: tells which locks are held, and who had them last" {
  lsm-put k v
  [ "$(dump '.locks[] | select(.role == "write") | .held, .tool' |
    tr '\n' ' ')" = "false lsm-put " ]
  hold_lock 0
  [ "$(dump '.locks[] | select(.role == "write").held' --no-wait)" = true ]
}

@test "dump: a table shows footer, properties and every block" {
  local table
  some_store
  for table in data/*.sst; do
    lsm-dump "$table" > dumped
    [ "$(jq -r .kind dumped)" = table ]
    [ "$(jq '.blocks | map(.stored) | add' dumped)" -le \
      "$(stat -c %s "$table")" ]
    [ "$(jq .footer.entries dumped)" = "$(jq .properties.entries dumped)" ]
    [ "$(jq -r '.blocks[-1].kind' dumped)" = footer ]
    [ "$(jq -r '[.blocks[].kind] | unique | join(" ")' dumped |
      grep -o 'data.*filter.*footer.*index.*properties')" ]
  done
  [ "$(jq '[.blocks[] | select(.kind == "chunk")] | length' dumped)" = 2 ]
}

@test "dump: a log shows its batches, and where and why they end" {
  local log bytes
  some_store
  log=$(ls data/*.wal)
  lsm-dump "$log" > dumped
  [ "$(jq -c '[.batches[].count], .entries, .end' dumped | tr '\n' ' ')" = \
    '[3,1,1] 5 "room for what comes" ' ]
  bytes=$(jq .valid_bytes dumped)
  [ "$(jq '.batches[-1] | .offset + .length' dumped)" = "$bytes" ]
  cp "$log" torn.wal
  truncate -s "$bytes" torn.wal
  [ "$(lsm-dump torn.wal | jq -r .end)" = "the end of the file" ]
  truncate -s -1 torn.wal
  lsm-dump torn.wal > dumped
  [[ $(jq -r .end dumped) == "a torn tail"* ]]
  [ "$(jq '.batches | length' dumped)" = 2 ]
}

@test "dump: trees, images, STATE and the manifest, each by path" {
  some_store
  [ "$(dump '.kind, .commit.entries, .commit.tail, .height' data/*.idx |
    tr '\n' ' ')" = "tree 0 5 0 " ]
  seq -f $'k%g\tv' 100 | lsm-put --batch-size 100
  [ "$(dump '.commit.entries, .commit.tail, .height, .balanced' data/*.idx |
    tr '\n' ' ')" = "103 0 8 true " ]
  [ "$(dump '.kind, .token.ok, .token.this_file, .token.this_boot' data/STATE |
    tr '\n' ' ')" = "state true true true " ]
  [ "$(dump .generation.number data/STATE)" = "$(dump .generation)" ]
  [ "$(dump '.kind, .sound, .tables' data/*.ver | tr '\n' ' ')" = \
    "image true 2 " ]
  [ "$(dump .manifest_checksum data/*.ver)" = "$(dump .manifest_checksum)" ]
  [ "$(dump .sound data/MANIFEST.json)" = true ]
  [ "$(dump .manifest data/MANIFEST.json)" = "$(jq . data/MANIFEST.json)" ]
}

@test "dump: a file needs neither its directory nor its name" {
  local file
  some_store
  mkdir away
  for file in data/*.sst data/*.wal data/*.idx data/*.ver data/STATE \
    data/MANIFEST.json; do
    cp "$file" away/renamed
    [ "$(dump 'del(.file, .token)' away/renamed)" = \
      "$(dump 'del(.file, .token)' "$file")" ]
    (cd away && lsm-dump renamed > /dev/null)
  done
  echo text > other
  run -65 --separate-stderr lsm-dump other
  [ -z "$output" ]
  one_message_of lsm-dump
  run -65 lsm-dump data/LOCK
}

# overwrite FILE OFFSET: one byte of it
overwrite() {
  chmod +w "$1"
  printf '\xee' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "dump: what is damaged is printed as far as it goes, status 65" {
  local file size at
  some_store
  for file in data/*.sst data/*.wal data/*.ver data/MANIFEST.json; do
    size=$(stat -c %s "$file")
    for at in 3 70 $((size / 2)) $((size - 5)); do
      cp "$file" "${file##*/}"
      overwrite "${file##*/}" "$at"
      cmp -s "$file" "${file##*/}" && continue
      # the last batch of a log by itself: as good as a torn tail
      [[ $file == *.wal && $at -gt 150 ]] && continue
      run -65 --separate-stderr lsm-dump "${file##*/}"
      one_message_of lsm-dump
      [ "$(jq -r '.. | .error? // empty' <<< "$output" | wc -l)" -eq 1 ]
    done
  done
  cp data/MANIFEST.json .
  overwrite MANIFEST.json 3
  overwrite data/MANIFEST.json 3
  run -65 --separate-stderr lsm-dump
  [ "$(jq 'has("error")' <<< "$output")" = true ]
}

@test "dump: a manifest that is JSON but not sound is shown" {
  lsm-put k v
  jq -c '.generation = 77' data/MANIFEST.json > MANIFEST.json
  run -65 --separate-stderr lsm-dump MANIFEST.json
  [ "$(jq -c '.sound, .manifest.generation' <<< "$output" | tr '\n' ' ')" = \
    "false 77 " ]
}

@test "dump: blocks before a damaged one are shown" {
  local table before
  some_store
  table=$(ls data/*.sst | tail -n 1)
  before=$(dump '[.blocks[].kind] | index("filter")' "$table")
  overwrite "$table" "$(dump .footer.filter_offset "$table")"
  run -65 --separate-stderr lsm-dump "$table"
  [ "$before" -gt 3 ]
  [ "$(jq '.blocks | length' <<< "$output")" = "$before" ]
  [ "$(jq 'has("footer") and has("properties")' <<< "$output")" = true ]
}

@test "dump: --records prints what lsm-scan prints" {
  some_store
  lsm-scan > want
  lsm-dump --records | cmp - want
  lsm-scan -f jsonl > want
  lsm-dump --records -f jsonl | sed '1d;$d' | jq -c 'del(.from)' > got
  diff got want
}

@test "dump: --records -f jsonl tells where each record lies" {
  some_store
  lsm-dump --records -f jsonl > dumped
  [ "$(head -n 1 dumped)" = '{"lsm_records":1}' ]
  [ "$(tail -n 1 dumped | jq -c '[.end, .records]')" = \
    "[true,$(lsm-scan --count)]" ]
  where() { jq -r "select(.key == \"$1\") | .from.kind, .from.file" dumped |
    tr '\n' ' '; }
  [ "$(where c)" = "put $(basename data/*.wal) " ]
  [ "$(where a)" = "put $(basename "$(ls data/*.sst | head -n 1)") " ]
  [ "$(where k100)" = "put $(basename "$(ls data/*.sst | tail -n 1)") " ]
}

@test "dump: --records of a table or log shows every entry" {
  local log
  some_store
  log=$(ls data/*.wal)
  [ "$(lsm-dump --records -f jsonl "$log" | sed '1d;$d' |
    jq -r '.key + " " + .from.kind + " " + (.value // "-")')" = \
"c put new
e put new
f put new
e put newer
f delete -" ]
  [ "$(lsm-dump --records -f jsonl "$(ls data/*.sst | tail -n 1)" |
    jq -r 'select(.from.kind == "delete").key' | tr '\n' ' ')" = "b k007 " ]
  run -0 --separate-stderr lsm-dump --records "$log"
  [ "${#lines[@]}" -eq 4 ]
  [[ $stderr == "lsm-dump: 1 deletes left out"* ]]
  run -0 --separate-stderr lsm-dump -q --records "$log"
  [ -z "$stderr" ]
  run -64 lsm-dump --records data/STATE
  run -64 lsm-dump -f jsonl
}

@test "dump: what --records writes, lsm-put reads back" {
  local format
  some_store
  odd_records nul | lsm-put
  for format in tsv jsonl; do
    lsm-dump --records -f "$format" | lsm-put -d "copy-$format" -f "$format"
    cmp <(lsm-scan) <(lsm-scan -d "copy-$format")
  done
  # cut short, it is refused
  lsm-dump --records -f jsonl | sed '$d' > short
  run -65 lsm-put -d third -f jsonl < short
  # a delete is no record
  run -65 lsm-put -d third -f jsonl < \
    <(lsm-dump --records -f jsonl "$(ls data/*.wal)")
}

@test "dump: records before damage are printed, status 65" {
  local table at
  some_store
  table=$(ls data/*.sst | tail -n 1)
  at=$(dump '.blocks[2].offset' "$table")
  overwrite "$table" $((at + 1))
  run -65 --separate-stderr lsm-dump --records -f jsonl "$table"
  one_message_of lsm-dump
  [ "$(jq -s 'length' <<< "$output")" -gt 1 ]
  [ "$(jq -s 'any(.end)' <<< "$output")" = false ]
}

@test "dump: a large value streams" {
  head -c 50000000 /dev/zero | lsm-put big -
  lsm-flush
  # A sanitizer's shadow memory alone is more than that.
  sanitized ||
    [ "$(bash -c 'ulimit -v 60000; lsm-dump --records' | wc -c)" -eq 100000005 ]
  lsm-dump data/*.sst | jq .footer > /dev/null
}

@test "dump: it changes nothing" {
  some_store
  rm data/*.idx
  cp -a data before
  lsm-dump > /dev/null || true
  diff -r before data
  rm data/STATE before/STATE
  [ "$(dump .trusted)" = false ]
  [ "$(dump .manifest)" = alone ]
  diff -r before data
}

@test "dump: beside writers it is always one valid document" {
  local pids=() i
  for i in 1 2; do
    for _ in {1..20}; do
      seq -f "$i%04.0f" 200 | sed "s/\$/\t$RANDOM/" | lsm-put --sync=none
      lsm-flush
    done 3>&- &
    pids+=($!)
  done
  for _ in {1..20}; do
    lsm-dump | jq -e .generation > /dev/null
    lsm-dump --records > /dev/null
  done
  for i in "${pids[@]}"; do wait "$i"; done
}
