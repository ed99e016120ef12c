#!/usr/bin/env bats
# formats/state.md and formats/idx.md: examples, names and real files.

load formats

# Check by the pages alone: FILE, its magic, the offsets of its cells.
living() {
  python3 - "$READERS" "$@" <<'PY'
import struct
import sys
sys.path.insert(0, sys.argv[1])
from xxh3 import xxh3_64
path, magic, cells = sys.argv[2], sys.argv[3], sys.argv[4:]
p = open(path, "rb").read()
assert p[:8] == magic.encode() + b"\n", "magic"
version, n = struct.unpack_from("=II", p, 8)
assert version == 3 and 1 <= n <= 16, "version, pairs"
assert struct.unpack_from("=Q", p, 448)[0] == xxh3_64(p[:448]), "token"
for off in map(int, cells):
    slots = []
    for i in (0, 1):
        s = struct.unpack_from("=8Q", p, off + 64 * i)
        if s[0] and s[0] % 2 == i and s[7] == xxh3_64(
                p[off + 64 * i:off + 64 * i + 56], off):
            slots.append(s)
    print(off, *max(slots)[:7])
PY
}

@test "state.md: the checksums of its worked example are right" {
  example state.md 4096 > STATE
  run -0 living STATE lmstate 1024 1152
  [ "${lines[0]}" = "1024 3 2 16620630320048413685 0 0 0 0" ]
  [ "${lines[1]}" = "1152 2 2 0 0 0 0 0" ]
}

@test "state.md: a real STATE names the manifest by number and checksum" {
  lsm-put a 1
  lsm-flush
  living data/STATE lmstate 1024 1152 > cells
  read -r _ _ generation checksum installing _ < cells
  [ "$generation" -eq "$(jq .generation data/MANIFEST.json)" ]
  [ "$(printf %016x "$checksum")" = \
    "$(python3 "$READERS/xxh3.py" data/MANIFEST.json | cut -d' ' -f1)" ]
  [ "$installing" -eq 0 ]
  read -r _ _ next _ < <(tail -1 cells)
  [ "$next" -ge "$(jq .next_number data/MANIFEST.json)" ]
}

# Walk a tree by idx.md, `hexprefix key_len offset` in key order, then its tail.
tree() {
  python3 - "$1" "$2" "${3:-0}" "${4:-0}" <<'PY'
import struct
import sys
p = open(sys.argv[1], "rb").read()
root, tail, nodes = map(int, sys.argv[2:])
def walk(i, under):
    if not i:
        return 0
    assert 128 <= i and 32 * i < len(p), "child"
    prefix, off, left, right, key_len, height, shape, _ = \
        struct.unpack_from("=QQIIHBBI", p, 32 * i)
    assert 0 < height < under, "height"
    a = walk(left, height)
    print("%016x" % prefix, key_len, off)
    b = walk(right, height)
    assert height == max(a, b) + 1 and shape >> 4 == b - a + 1, "balance"
    return height
walk(root, 49)
for i in range(nodes - tail, nodes):
    prefix, off, key_hash, key_len, height, shape, _ = \
        struct.unpack_from("=QQQHBBI", p, 32 * i)
    assert height == 1 and shape >> 4 == 1, "tail"
    print("tail %016x" % prefix, key_len, off, "%016x" % key_hash)
PY
}

@test "idx.md: the tree of its worked example" {
  example idx.md > tree.idx
  run -0 living tree.idx 'lsm idx' 1024 1152
  [ "${lines[1]}" = "1152 5 181 0 0 5005 2 1" ]
  [ "${lines[0]}" = "1024 3 $((2 << 32)) 181 130 0 11472274541792701590 2" ]
  run -0 tree tree.idx 0 2 130
  [ "$output" = "$(printf 'tail %s %s\n' \
    '6672756974000000 5 104' "$(hash fruit)" \
    '6669670000000000 3 166' "$(hash fig)")" ]
}

hash() {
  printf %s "$1" > key
  python3 "$READERS/xxh3.py" key | cut -d' ' -f1
}

@test "idx.md: a real tree has every key once, in order, balanced, the tail the rest" {
  seq -f 'key %g' 500 | shuf --random-source=<(yes) | sed 's/$/\tv/' |
    lsm-put --batch-size 7
  lsm-put 'key 9' again
  lsm-del 'key 10'
  living data/*.idx 'lsm idx' 1024 1152 > cells
  read -r _ _ root bytes nodes keys _ batches < cells
  # Behind the log's last batch is room, behind the last node a hole.
  [ "$(tail -c +$((bytes + 1)) data/*.wal | tr -d '\0' | wc -c)" -eq 0 ]
  [ "$(tail -c +$((bytes - 50)) data/*.wal | tr -d '\0' | wc -c)" -gt 0 ]
  [ "$(tail -c +$((nodes * 32 + 1)) data/*.idx | tr -d '\0' | wc -c)" -eq 0 ]
  [ "$(tail -c +$((nodes * 32 - 31)) data/*.idx | tr -d '\0' | wc -c)" -gt 0 ]
  [ "$batches" -ge 74 ]
  tail=$((root >> 32)) root=$((root & 0xffffffff))
  [ "$((nodes >> 32))" -eq 0 ]
  [ "$tail" -le 256 ] && [ "$tail" -gt 2 ] && [ "$keys" -gt 200 ]
  tree data/*.idx "$root" "$tail" "$nodes" > nodes
  grep -v tail nodes > sorted
  [ "$(wc -l < sorted)" -eq "$keys" ]
  sort -c -k1,1 -k2,2n sorted
  grep tail nodes > last
  [ "$(wc -l < last)" -eq "$tail" ]
  [ $((keys + tail)) -eq 502 ]
  sort -c -k4,4n last
  [ "$(tail -1 last | cut -d' ' -f5)" = "$(hash 'key 10')" ]
  # The sync cell: all of it is durable.
  read -r _ _ synced syncing poisoned _ < <(tail -1 cells)
  [ "$synced $syncing $poisoned" = "$bytes 0 0" ]
}

@test "idx.md: keys that begin alike differ behind the skip" {
  local root nodes skip key_len off
  lsm-put 'a long beginning 000000' v
  seq -f 'a long beginning %06g' 1000 | shuf --random-source=<(yes) |
    sed 's/$/\tv/' | lsm-put --batch-size 500
  (seq -f 'a long beginning %06g' 1001 1100; printf '%s\n' a b 'a short one') |
    sed 's/$/\tv/' | lsm-put --batch-size 500
  read -r _ _ root _ nodes _ < <(living data/*.idx 'lsm idx' 1024)
  skip=$((nodes >> 32))
  [ "$skip" -ge 10 ] && [ "$skip" -le 17 ] && [ "$((root >> 32))" -eq 0 ]
  tree data/*.idx "$root" > nodes
  [ "$(wc -l < nodes)" -eq 1104 ]
  # By the page: 0 for what is below, or a part of it; all bits for what is above.
  [ "$(head -1 nodes | cut -d' ' -f1-2)" = '0000000000000000 1' ]
  [ "$(tail -2 nodes | cut -d' ' -f1-2 | xargs)" = \
    'ffffffffffffffff 11 ffffffffffffffff 1' ]
  while read -r prefix key_len off; do
    [ "$prefix" = "$(tail -c +$((off + 13 + skip)) data/*.wal |
      head -c $((key_len - skip < 8 ? key_len - skip : 8)) |
      od -An -v -tx1 -w8 | tr -d ' ' | sed 's/$/0000000000000000/; s/^\(.\{16\}\).*/\1/')" ]
  done < <(grep -v ' 1 \| 11 ' nodes | shuf -n 40)
  run -0 lsm-verify
}

# The word of LOCK by lock.md.
word() {
  od -An -tu4 -N8 "${1:-data/LOCK}" | xargs
}

@test "lock.md: its worked example, and a real LOCK" {
  example lock.md > LOCK
  [ "$(word LOCK)" = "4 1" ]
  # One-shot tools lock a byte; who writes on and on becomes the tenant.
  lsm-put a 1
  lsm-put b 2
  [ ! -s data/LOCK ]
  seq -f $'k%g\tv' 1000 | lsm-put --batch-size 1 --sync none
  [ "$(word)" = "0 1" ]
  [ "$(stat -c %s data/LOCK)" -eq 64 ]
  { seq -f $'k%g\tw' 1000; sleep 2; } | lsm-put --batch-size 1 --sync none &
  for _ in {1..100}; do
    [ "$(word)" = "8 2" ] && break
    sleep 0.02
  done
  [ "$(word)" = "8 2" ]
  lsm-put c 3
  [ "$(word)" = "0 2" ]
  wait
}

@test "living memory can be deleted: nothing is lost" {
  odd_records | lsm-put
  scan_hex > want
  forget data
  scan_hex | cmp - want
  living data/STATE lmstate 1024 1152
}
