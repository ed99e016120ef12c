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
assert version == 1 and 1 <= n <= 16, "version, pairs"
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

# Walk a tree by idx.md: `hexprefix key_len offset` in key order.
tree() {
  python3 - "$1" "$2" <<'PY'
import struct
import sys
p, root = open(sys.argv[1], "rb").read(), int(sys.argv[2])
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
PY
}

@test "idx.md: the tree of its worked example" {
  example idx.md > tree.idx
  run -0 living tree.idx 'lsm idx' 1024 1152
  [ "${lines[1]}" = "1152 5 181 0 0 5005 2 1" ]
  run -0 tree tree.idx 129
  [ "$output" = "$(printf '%s\n' '6669670000000000 3 166' \
    '6672756974000000 5 104')" ]
}

@test "idx.md: a real tree has every key once, in order, balanced" {
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
  [ "$keys" -eq 500 ]
  [ "$batches" -ge 74 ]
  tree data/*.idx "$root" > nodes
  [ "$(wc -l < nodes)" -eq 500 ]
  sort -c -k1,1 -k2,2n nodes
  # The sync cell: all of it is durable.
  read -r _ _ synced syncing poisoned _ < <(tail -1 cells)
  [ "$synced $syncing $poisoned" = "$bytes 0 0" ]
}

@test "living memory can be deleted: nothing is lost" {
  odd_records | lsm-put
  scan_hex > want
  forget data
  scan_hex | cmp - want
  living data/STATE lmstate 1024 1152
}
