# roundtrip.bats - what went in comes out, byte for byte, whatever happens to
# the store in between.

load helper

# The same content after everything that may not change it.
same_throughout() {
  local expected=$1 what
  for what in : lsm-flush "lsm-compact" "lsm-compact --all --strategy tiered" \
    "lsm-compact --all --strategy leveled" lose; do
    $what
    echo "after: $what"
    lsm-scan -f jsonl | cmp - "$expected"
    lsm-scan --reverse -f jsonl | tac | cmp - "$expected"
  done
  lsm-verify -q
}

# Nobody uses the store: the rebuildable files may go.
lose() {
  rm -f data/STATE data/*.idx data/*.ver
}

@test "roundtrip: any bytes, from one to the limits" {
  lsm-init write_buffer=64K table_bytes=64K
  python3 - > in.nul <<'PY'
import random, sys
r = random.Random(5)
w = sys.stdout.buffer.write
seen = set()
for n in [1, 2, 7, 8, 9, 15, 16, 17, 255, 256, 4095, 4096, 4097, 65534, 65535]:
    for i in range(3):
        k = bytes(r.randrange(1, 256) for _ in range(n))
        if k in seen:
            continue
        seen.add(k)
        v = bytes(r.randrange(1, 256) for _ in range(r.choice([0, 1, 100, 32768, 32769, 65536, 70000])))
        w(k + b'\0' + v + b'\0')
for i in range(256):
    k = bytes([i]) * 3
    if i and k not in seen:
        w(k + b'\0' + bytes([i or 1]) * i + b'\0')
PY
  lsm-put -f nul < in.nul
  python3 -c '
import sys, json, base64
parts = open("in.nul", "rb").read().split(b"\0")[:-1]
m = dict(zip(parts[0::2], parts[1::2]))
sys.stdout.write(str(len(m)))' > n
  [ "$(lsm-scan --count)" -eq "$(cat n)" ]
  lsm-scan -f nul > first.nul
  python3 -c '
parts = open("in.nul", "rb").read().split(b"\0")[:-1]
m = dict(zip(parts[0::2], parts[1::2]))
out = b"".join(k + b"\0" + m[k] + b"\0" for k in sorted(m))
import sys
sys.exit(out != open("first.nul", "rb").read())'
  lsm-scan -f jsonl > expected
  same_throughout expected
}

@test "roundtrip: a value of 100 MiB in the log, in a table, and streamed" {
  head -c 104857600 /dev/urandom > big
  lsm-put big - < big
  lsm-get big | cmp - big
  lsm-flush
  lsm-get big | cmp - big
  lsm-compact --all
  lose
  lsm-get big | cmp - big
  lsm-verify -q
}

# The limit itself takes a minute and some GiB: only in the full run.
@test "roundtrip: a value of 1 GiB is kept, and one byte more is status 64" {
  if [ -z "${FULL:-}" ]; then
    run -64 --separate-stderr lsm-put big - < <(head -c 1073741825 /dev/zero)
    one_message_of lsm-put
    [ ! -e data/MANIFEST.json ] || run -1 lsm-get -e big
    return
  fi
  head -c 1073741824 /dev/urandom > big
  { cat big; echo; } > bigger
  run -64 --separate-stderr lsm-put big - < bigger
  one_message_of lsm-put
  rm bigger
  lsm-put big - < big
  lsm-get big | cmp - big
  lsm-flush
  lose
  lsm-get big | cmp - big
  lsm-compact --all
  lsm-get big | cmp - big
  lsm-verify -q
}

@test "roundtrip: 200,000 records (2,000,000 in the full run) in random order" {
  local n=200000
  [ -z "${FULL:-}" ] || n=2000000
  mawk -v n=$n 'BEGIN { srand(3); for (i = 0; i < n; i++)
    printf "%08.0f%08.0f\tvalue %d of many\n", rand() * 99999999, i, i }' > in
  lsm-put < in
  sort in > expected
  for what in : lsm-flush lsm-compact lose "lsm-compact --all"; do
    $what
    echo "after: $what"
    lsm-scan | cmp - expected
  done
  cut -f1 in | lsm-get -f tsv | cmp - in
  lsm-verify -q
}

@test "roundtrip: overwritten and deleted records are gone, the others stay" {
  lsm-init write_buffer=64K table_bytes=64K
  seq -f 'k%06g' 1 30000 | sed 's/$/\told/' | lsm-put
  seq -f 'k%06g' 1 3 30000 | sed 's/$/\tnew/' | lsm-put
  seq -f 'k%06g' 2 3 30000 | lsm-del
  seq 1 30000 | awk '$1 % 3 == 1 { printf "k%06d\tnew\n", $1 }
    $1 % 3 == 0 { printf "k%06d\told\n", $1 }' > live
  lsm-scan | cmp - live
  lsm-scan -f jsonl > expected
  same_throughout expected
  [ "$(jq '[.levels[][][] | .tombstones] | add' data/MANIFEST.json)" -eq 0 ]
}
