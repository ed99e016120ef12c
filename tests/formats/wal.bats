#!/usr/bin/env bats
# formats/wal.md: real logs, read by a reader written from the page alone.

load formats

@test "wal.md: its worked example decodes" {
  example wal.md > 000001.wal
  run -0 wal 000001.wal
  [ "$output" = "$(printf '%s\t%s\n' 6672756974 6170706c65 666967 -)" ]
}

@test "wal.md: the page reads what lsm-put and lsm-del wrote, in order" {
  odd_records | lsm-put
  lsm-put kx first
  lsm-put kx ''
  lsm-del ka kb absent
  lsm-put kb again
  seq -f 'n%g' 1000 | sed 's/.*/&\t&&&/' | lsm-put --batch-size 100
  wal data/*.wal > entries
  [ "$(grep -c "^$(printf kx | xxd -p)" entries)" -eq 3 ]
  newest < entries > want
  [ "$(wc -l < want)" -gt 1200 ]
  scan_hex | cmp - want
}

@test "wal.md: an empty log has no entries" {
  lsm-put k v
  lsm-flush
  run -0 wal data/*.wal
  [ -z "$output" ]
}

@test "wal.md: a long value and a long key" {
  head -c 300000 /dev/urandom > value
  lsm-put "$(head -c 65535 /dev/zero | tr '\0' k)" - < value
  wal data/*.wal > entries
  scan_hex | cmp - entries
}

@test "wal.md: a sealed log ends where the manifest says" {
  lsm-init write_buffer=4K
  lsm-put first 1
  # Log 1 cannot be flushed while somebody claims it.
  BATS_TEST_DIRNAME=$ROOT/tests/tools hold_lock $((4294967296 + 1))
  seq -f 'n%g' 300 | sed 's/$/\t0123456789/' | lsm-put --batch-size 10 \
    --timeout 1 || true
  release_lock
  run -0 jq -r '.logs[] | select(.number == 1) |
    "\(.sealed) \(.length) \(.checksum)"' data/MANIFEST.json
  read -r sealed length checksum <<< "$output"
  [ "$sealed" = true ]
  wal -s "$length" "$checksum" data/000001.wal > entries
  [ "$(wc -l < entries)" -gt 10 ]
  printf 'what a writer left' >> data/000001.wal
  wal -s "$length" "$checksum" data/000001.wal | cmp - entries
  run -1 wal -s "$length" 0123456789abcdef data/000001.wal
  truncate -s $((length - 1)) data/000001.wal
  run -1 wal -s "$length" "$checksum" data/000001.wal
}

@test "wal.md: torn, holed and damaged tails are judged alike by page and store" {
  for k in a b c d; do
    head -c 1300 /dev/urandom | lsm-put --sync none $k -
  done
  lsm-put --sync none zeros - < <(head -c 2000 /dev/zero)
  lsm-put --sync none last 1
  run -0 python3 "$READERS/judge.py" data 000001.wal unsynced
  echo "$output"
  read -r _ taken _ refused <<< "$output"
  [ "$taken" -gt 30 ]
  [ "$refused" -gt 30 ]
}

@test "wal.md: a power loss that keeps any sectors is never taken for damage" {
  # Headers come to lie across every boundary there is.
  for i in $(seq 60); do
    head -c $((100 + i * 7)) /dev/urandom | lsm-put --sync none "k$i" -
  done
  # and so that 1 to 8 bytes of a checksum lie before it.
  local n off value
  for n in 1 2 3 4 5 6 7 8; do
    off=$(stat -c %s data/000001.wal)
    value=$(((off + 600) / 512 * 512 - n - off - 54))
    head -c $((value > 0 ? value : value + 512)) /dev/urandom |
      lsm-put --sync none "f$n" -
    [ $((($(stat -c %s data/000001.wal) + n) % 512)) -eq 0 ]
    lsm-put --sync none "g$n" value
  done
  lsm-put --sync none last 1
  python3 "$READERS/judge.py" data 000001.wal unsynced
}

@test "wal.md: what was synced and is gone is damage, to page and store" {
  for k in a b c d; do
    head -c 300 /dev/urandom | lsm-put $k -
  done
  run -0 python3 "$READERS/judge.py" data 000001.wal
  # Only the last batch may have been on its way.
  printf X | dd of=data/000001.wal bs=1 seek=110 conv=notrunc status=none
  forget data
  run -65 lsm-scan
  run -1 wal -t data/000001.wal
}
