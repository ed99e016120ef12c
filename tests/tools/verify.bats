#!/usr/bin/env bats
# lsm-verify.1

load helper

# a store with tables, a log, deletes and a large value
some_store() {
  printf '%s\told\n' a ab b c d | lsm-put
  lsm-flush
  seq -f 'k%03.0f' 200 | sed 's/$/\tvalue/' | lsm-put
  head -c 100000 /dev/zero | lsm-put large -
  lsm-del b k007
  lsm-flush
  printf '%s\tnew\n' c e f | lsm-put
  lsm-put e newer
  lsm-del f
}

# the names of what lsm-verify reports as damage
damaged() {
  lsm-verify 2> /dev/null | jq -r 'select(.fatal) | .code + " " + .file'
}

# flip FILE [BYTES]: every byte of a file, or of so many, one at a time and in place, becomes 0xff
# (or 0), and every bit of every eighth byte is turned, with FULL=1 of all;
# each must be status 65 (flip.c asks the library the same of all, always)
flip() {
  python3 - "$@" <<'PY'
import os, subprocess, sys
path = sys.argv[1]
os.chmod(path, 0o644)
fd = os.open(path, os.O_RDWR)
missed = runs = 0
for at in range(int(sys.argv[2]) if len(sys.argv) > 2 else os.fstat(fd).st_size):
    old = os.pread(fd, 1, at)[0]
    news = {0xff if old != 0xff else 0}
    if at % 8 == 0 or os.environ.get('FULL'):
        news |= {old ^ 1 << bit for bit in range(8)}
    for new in sorted(news):
        os.pwrite(fd, bytes([new]), at)
        status = subprocess.run(['lsm-verify', '-q'],
                                stderr=subprocess.DEVNULL).returncode
        runs += 1
        if status != 65:
            missed += 1
            print(f'{path}: byte {at}: {old} as {new}: status {status}')
    os.pwrite(fd, bytes([old]), at)
print(f'{runs} runs')
sys.exit(1 if missed or not runs else 0)
PY
}

@test "verify: a sound store prints nothing, status 0" {
  some_store
  run -0 --separate-stderr lsm-verify
  [ -z "$output$stderr" ]
  run -0 --separate-stderr lsm-verify --strict
  [ -z "$output$stderr" ]
  lsm-compact --all
  run -0 lsm-verify --strict
  [ -z "$output" ]
}

@test "verify: a new store, an empty one and one of a log alone are sound" {
  lsm-init
  run -0 lsm-verify --strict
  [ -z "$output" ]
  lsm-put k v
  run -0 lsm-verify --strict
  [ -z "$output" ]
  lsm-flush
  run -0 lsm-verify --strict
  [ -z "$output" ]
}

@test "verify: no store is status 66" {
  run -66 --separate-stderr lsm-verify
  [ -z "$output" ]
  one_message_of lsm-verify
  mkdir data
  run -66 lsm-verify
}

@test "verify: any byte of a table changed is status 65" {
  printf '%s\tv\n' a ab b c | lsm-put
  lsm-flush
  flip "$(ls data/*.sst)"
  run -0 lsm-verify
}

@test "verify: any byte of the manifest changed is status 65" {
  lsm-put k v
  flip data/MANIFEST.json
  run -0 lsm-verify
}

@test "verify: any byte of a log changed is status 65" {
  lsm-put k v
  lsm-put l w
  printf '%s\tv\n' a b | lsm-put
  flip "$(ls data/*.wal)" "$(lsm-dump | jq '.logs[0].published')"
  run -0 lsm-verify
}

@test "verify: a byte of a version image changed is status 65" {
  some_store
  python3 - data/*.ver <<'PY'
import sys
with open(sys.argv[1], 'r+b') as f:
    f.seek(100)
    f.write(b'\xee')
PY
  run -65 --separate-stderr lsm-verify
  [ "$(jq -r .code <<< "$output")" = image ]
}

@test "verify: a node of a tree changed is status 65, and named" {
  local tree
  lsm-put k v
  lsm-put l w
  tree=$(ls data/*.idx)
  python3 - "$tree" "$(lsm-dump "$tree" | jq .commit.nodes)" <<'PY'
import sys
with open(sys.argv[1], 'r+b') as f:
    f.seek((int(sys.argv[2]) - 1) * 32 + 8)
    f.write(b'\x41')
PY
  run -65 --separate-stderr lsm-verify
  [ "$(jq -r .code <<< "$output")" = tree ]
  [ "$(jq -r .file <<< "$output")" = "${tree##*/}" ]
  one_message_of lsm-verify
}

@test "verify: a table of another store, or of another number, is named" {
  local table
  some_store
  table=$(ls data/*.sst | head -n 1)
  lsm-put -d other k v
  lsm-flush -d other
  cp -f other/*.sst "$table"
  [ "$(damaged)" = "table ${table##*/}" ]
}

@test "verify: a table cut short, and one that grew, are damage" {
  local table
  some_store
  for table in data/*.sst; do
    chmod +w "$table"
    cp "$table" kept
    truncate -s -1 "$table"
    [ "$(damaged)" = "table ${table##*/}" ]
    cp kept "$table"
    printf x >> "$table"
    [ "$(damaged)" = "table ${table##*/}" ]
    cp kept "$table"
  done
  run -0 lsm-verify
}

@test "verify: whatever the manifest names and is missing is told by name" {
  local table log
  some_store
  table=$(ls data/*.sst | tail -n 1)
  log=$(ls data/*.wal)
  mv "$table" "$log" .
  [ "$(damaged)" = "$(printf 'missing %s\n' "${log##*/}" "${table##*/}")" ]
  mv "${table##*/}" "${log##*/}" data
  mv data/MANIFEST.json .
  run -65 --separate-stderr lsm-verify
  [ "$(jq -r .code <<< "$output")" = manifest ]
}

@test "verify: a manifest that STATE does not publish is damage" {
  lsm-put k v
  cp data/MANIFEST.json old
  lsm-flush
  cp old data/MANIFEST.json
  [[ $(damaged) == *"published MANIFEST.json"* ]]
}

@test "verify: a log cut below its published length is damage" {
  local log
  lsm-put k v
  log=$(ls data/*.wal)
  truncate -s $(($(lsm-dump | jq '.logs[0].published') - 1)) "$log"
  [ "$(damaged)" = "log ${log##*/}" ]
}

@test "verify: bytes behind the published length are nobody's concern" {
  lsm-put k v
  printf 'half a batch' >> "$(ls data/*.wal)"
  run -0 lsm-verify
  [ -z "$output" ]
}

@test "verify: a copy is verified without its living memory, said in a note" {
  some_store
  cp -a data copy
  run -0 --separate-stderr lsm-verify -d copy
  [ "$(jq -r .code <<< "$output")" = untrusted ]
  [ -z "$stderr" ]
  # an early batch of its log is told from a torn tail
  python3 - copy/*.wal <<'PY'
import sys
with open(sys.argv[1], 'r+b') as f:
    f.seek(110)
    f.write(b'\x99')
PY
  run -65 lsm-verify -d copy
  rm copy/LOCK copy/STATE copy/*.idx
  run -65 lsm-verify -d copy
  [ ! -e copy/LOCK ]
}

@test "verify: a torn tail that a crash leaves is a note" {
  some_store
  cp -a data copy
  truncate -s $(($(lsm-dump copy/*.wal | jq .valid_bytes) - 1)) copy/*.wal
  run -0 --separate-stderr lsm-verify -d copy
  [ "$(jq -r .code <<< "$output" | tr '\n' ' ')" = "untrusted tail " ]
}

@test "verify: a tree that was removed is a note, and its log is verified" {
  some_store
  rm data/*.idx
  run -0 lsm-verify
  [ "$(jq -r .code <<< "$output")" = no-tree ]
  [ ! -e data/000004.idx ]
  python3 - data/*.wal <<'PY'
import sys
with open(sys.argv[1], 'r+b') as f:
    f.seek(110)
    f.write(b'\x99')
PY
  run -65 lsm-verify
}

@test "verify: it changes nothing" {
  some_store
  rm data/*.idx
  printf 'half a batch' >> "$(ls data/*.wal)"
  cp -a data before
  run -0 lsm-verify
  diff -r before data
  rm data/STATE before/STATE
  run -0 lsm-verify
  diff -r before data
}

@test "verify: a flush killed at any sync leaves a sound store, and notes" {
  local n
  needs_strace
  for n in {1..9}; do
    rm -rf data
    lsm-put k v
    lsm-put l w
    strace -f -qq -o /dev/null \
      -e inject=fsync,fdatasync:signal=KILL:when="$n" lsm-flush || true
    run -0 lsm-verify
    printf '%s\n' "$output" >> found
    lsm-put m x
    lsm-flush
    [ "$(lsm-scan --count)" = 3 ]
    run -0 lsm-verify --strict
    [ -z "$output" ]
  done
  grep -q '"code":"install"' found
}

@test "verify: an orphan is a note, and with --strict damage" {
  some_store
  cp "$(ls data/*.sst | head -n 1)" data/000099.sst
  : > data/000098.wal
  : > data/000097.sst.tmp
  run -0 lsm-verify
  [ "$(jq -r '.code + " " + .file' <<< "$output")" = \
"temporary 000097.sst.tmp
orphan 000098.wal
orphan 000099.sst" ]
  run -65 --separate-stderr lsm-verify --strict
  one_message_of lsm-verify
  lsm-flush
  run -0 lsm-verify --strict
  [ -z "$output" ]
}

@test "verify: what a flush under way builds is no orphan" {
  lsm-put k v
  lsm-flush
  lsm-put l w
  : > data/000099.sst.tmp
  hold_lock $((4294967296 + 99))
  run -0 lsm-verify --strict
  release_lock
  run -65 lsm-verify --strict
}

@test "verify: a foreign file is a note" {
  lsm-put k v
  : > data/notes.txt
  run -0 lsm-verify --strict
  [ "$(jq -r '.code + " " + .file' <<< "$output")" = "foreign notes.txt" ]
}

@test "verify: -q prints no findings; the status and one message tell" {
  some_store
  chmod +w data/*.sst
  printf x >> "$(ls data/*.sst | head -n 1)"
  run -65 --separate-stderr lsm-verify -q
  [ -z "$output" ]
  one_message_of lsm-verify
}

@test "verify: many findings are many lines of JSON" {
  some_store
  chmod +w data/*.sst
  for table in data/*.sst; do printf x >> "$table"; done
  run -65 --separate-stderr lsm-verify
  [ "${#lines[@]}" -eq "$(ls data/*.sst | wc -l)" ]
  jq -e 'has("code") and has("file") and has("text") and .fatal' <<< "$output"
}

@test "verify: the codes in the man page are those of the tool" {
  sed -n 's/^	\[FIND_[A-Z_]*\] = { "\([a-z-]*\)".*/\1/p' \
    "$ROOT/lib/verify.c" | sort > have
  sed -n 's/^\.It Cm //p' "$ROOT/bin/lsm-verify.1" | sort > said
  [ "$(wc -l < have)" -gt 10 ]
  diff have said
}

@test "verify: beside writers, flushes and compactions nothing is found" {
  local pids=() w
  lsm-init write_buffer=16K tree_buffer=64K table_bytes=64K level0_runs=2
  for w in a b; do
    for _ in {1..15}; do
      seq -f "$w%04.0f" 300 | sed "s/\$/\t$RANDOM/" | lsm-put --sync=none ||
        exit
    done 3>&- &
    pids+=($!)
  done
  while kill -0 "${pids[@]}" 2> /dev/null; do
    lsm-flush
    lsm-compact
  done 3>&- &
  pids+=($!)
  for _ in {1..25}; do
    run -0 lsm-verify
  done
  for w in "${pids[@]}"; do wait "$w"; done
  lsm-flush
  run -0 lsm-verify --strict
  [ -z "$output" ]
}

@test "verify: who may only read can verify" {
  command -v setpriv > /dev/null || skip "no setpriv"
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  some_store
  chmod -R a-w,a+rX data
  setpriv --reuid=65534 --regid=65534 --clear-groups \
    test -x "$(command -v lsm-verify)" -a -r data/STATE ||
    skip "not reachable"
  # the directories above need not be open to everybody
  LSM_DIR=data run -0 setpriv --reuid=65534 --regid=65534 --clear-groups \
    lsm-verify
  [ -z "$output" ]
}

@test "verify: a reader waits for no writer's lock" {
  some_store
  hold_lock 0
  run -0 lsm-verify --no-wait
  release_lock
}
