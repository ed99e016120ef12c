#!/usr/bin/env bats
# formats/sstable.md and formats/manifest.md: real files, read by the pages.

load formats

table() {
  python3 "$READERS/sstable.py" "$1"
}

@test "xxh3.py: agrees with its vectors, and with libxxhash where it is" {
  python3 "$READERS/xxh3.py" --test
}

@test "manifest.md: the page accepts every manifest a store goes through" {
  lsm-init --compression lz4 write_buffer=8K table_bytes=4K table_bytes_max=8K
  python3 "$READERS/manifest.py" data/MANIFEST.json
  for i in 1 2 3; do
    seq -f "$i-%g" 400 | sed 's/.*/&\tvalue of &/' | lsm-put
    python3 "$READERS/manifest.py" data/MANIFEST.json
    lsm-del "$i-7"
    lsm-flush
    python3 "$READERS/manifest.py" data/MANIFEST.json
    lsm-compact
    python3 "$READERS/manifest.py" data/MANIFEST.json
  done
  lsm-compact --all
  python3 "$READERS/manifest.py" data/MANIFEST.json
}

@test "manifest.md: a byte changed anywhere is refused by page and store" {
  lsm-put a 1
  lsm-flush
  local off size
  size=$(stat -c %s data/MANIFEST.json)
  for off in 3 40 200 $((size / 2)) $((size - 30)) $((size - 2)); do
    rm -rf case
    cp -r data case
    forget case
    printf '~' | dd of=case/MANIFEST.json bs=1 seek="$off" conv=notrunc \
      status=none
    run -1 python3 "$READERS/manifest.py" case/MANIFEST.json
    run -65 lsm-scan -d case
  done
}

@test "sstable.md: the page reads every table that flush and compact wrote" {
  lsm-init --compression lz4 write_buffer=16K table_bytes=8K block_bytes=512
  odd_records nul | lsm-put
  head -c 200000 /dev/urandom | lsm-put kv -
  seq 3000 | sed 's/.*/&\tthe value of & and & again/' | lsm-put
  lsm-flush
  lsm-compact --all
  [ "$(find data -name '*.sst' | wc -l)" -gt 3 ]
  for file in data/*.sst; do
    table "$file" > "$(basename "$file").records"
  done
  # One run is left: its tables together are the store.
  jq -r '.levels[][][] | "\(.number) \(.entries)"' data/MANIFEST.json > named
  [ "$(jq '[.levels[][]] | length' data/MANIFEST.json)" -eq 1 ]
  while read -r number entries; do
    name=$(printf '%06d.sst.records' "$number")
    [ "$(wc -l < "$name")" -eq "$entries" ]
    cat "$name"
  done < named > all
  scan_hex | cmp - all
}

@test "sstable.md: a tombstone is there until nothing older can hold its key" {
  lsm-init --compression none
  seq 10 | sed 's/$/\tv/' | lsm-put
  lsm-flush
  lsm-del 5
  lsm-flush
  table "$(find data -name '*.sst' | sort | tail -1)" > records
  [ "$(cat records)" = "$(printf '35\t-')" ]
  lsm-compact --all
  table "$(find data -name '*.sst' | sort | tail -1)" > records
  [ "$(wc -l < records)" -eq 9 ]
  run ! grep "^35" records
}

@test "lsm-dump tells of a manifest what its text says" {
  seq 100 | sed 's/$/\tv/' | lsm-put
  lsm-flush
  lsm-put k v
  lsm-dump data/MANIFEST.json > dump
  lsm-dump > store
  for member in uuid generation next_number strategy options levels dropped; do
    jq -cS ".$member" data/MANIFEST.json > want
    jq -cS ".$member // .manifest.$member | walk(if type == \"object\" then
      del(.file) else . end)" dump | cmp - want
    jq -cS ".$member | walk(if type == \"object\" then del(.file) else . end)" \
      store | cmp - want
  done
}

@test "lsm-dump tells of a log what the page reads" {
  odd_records | lsm-put
  lsm-put k v
  lsm-del k absent
  [ "$(lsm-dump data/000001.wal | jq -r .header.salt)" = \
    "$(xxd -s 40 -l 8 -p data/000001.wal | fold -w2 | tac | tr -d '\n')" ]
  wal data/000001.wal > entries
  [ "$(lsm-dump data/000001.wal | jq '[.batches[].count] | add')" -eq \
    "$(wc -l < entries)" ]
  [ "$(lsm-dump data/000001.wal | jq '[.batches[].length] | add')" -eq \
    $(($(lsm-dump data/000001.wal | jq .valid_bytes) - 64)) ]
  [ "$(lsm-dump data/000001.wal | jq -r .end)" = 'room for what comes' ]
}

@test "lsm-dump tells of a table what the page reads" {
  lsm-init --compression lz4
  odd_records | lsm-put
  lsm-put k v
  lsm-del absent
  lsm-flush
  table data/*.sst > entries
  lsm-dump data/*.sst > dump
  [ "$(jq .footer.entries dump)" -eq "$(wc -l < entries)" ]
  [ "$(jq .footer.tombstones dump)" -eq 1 ]
  [ "$(jq .properties.entries dump)" -eq "$(wc -l < entries)" ]
  [ "$(jq .footer.file_bytes dump)" -eq "$(stat -c %s data/*.sst)" ]
}

@test "lsm-dump --records gives the records of a log or table by itself" {
  lsm-put a 1
  lsm-put a 2
  lsm-flush
  lsm-put b 1
  [ "$(lsm-dump --records data/*.sst)" = "$(printf 'a\t2')" ]
  [ "$(lsm-dump --records data/*.wal)" = "$(printf 'b\t1')" ]
  [ "$(lsm-dump --records)" = "$(printf 'a\t2\nb\t1')" ]
}
