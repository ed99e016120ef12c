#!/usr/bin/env bats
# What all tools promise alike: bin/lsm.7.

load helper

ALL="lsm-put lsm-get lsm-del lsm-scan lsm-init lsm-config lsm-stat lsm-sim lsm-flush lsm-compact lsm-shell lsm-dump lsm-verify"

@test "store: -d comes before LSM_DIR, which comes before ./data" {
  lsm-put k environment
  LSM_DIR='' lsm-put -d other k option
  [ "$(lsm-get -d other k)" = option ]
  [ "$(lsm-get k)" = environment ]
  mkdir sub
  cd sub
  env -u LSM_DIR lsm-put k default
  [ -e data/MANIFEST.json ]
  [ "$(LSM_DIR='' lsm-get k)" = default ]
}

@test "store: a tool that does not create says that there is none, status 66" {
  local tool
  for tool in "lsm-get k" "lsm-del k" "lsm-scan" "lsm-flush" "lsm-compact" \
    lsm-config "lsm-config a=1" lsm-stat "lsm-flush --is-needed" "lsm-del --all" "lsm-del -n --all"; do
    run -66 --separate-stderr $tool
    [ -z "$output" ]
    one_message_of "${tool%% *}"
  done
  [ ! -e "$LSM_DIR" ]
}

@test "store: a file in its place is refused" {
  : > file
  run -66 --separate-stderr lsm-get -d file k
  one_message_of lsm-get
  run -73 --separate-stderr lsm-put -d file k v
  one_message_of lsm-put
  [ ! -s file ]
}

@test "store: a directory with anything foreign is refused with 73, untouched" {
  mkdir data
  echo mine > data/notes.txt
  run -73 --separate-stderr lsm-put k v
  one_message_of lsm-put
  run -73 --separate-stderr lsm-init
  one_message_of lsm-init
  [ "$(files)" = notes.txt ]
  [ "$(cat data/notes.txt)" = mine ]
}

@test "store: an empty directory becomes one" {
  mkdir data
  lsm-put k v
  [ "$(lsm-get k)" = v ]
}

# Every tool but lsm-init says of data: 65, in one line, and who can help.
needs_repair() {
  local tool
  for tool in 'put k v' 'get a' scan 'del a' flush compact dump verify stat \
    config; do
    # shellcheck disable=SC2086
    run -65 --separate-stderr lsm-$tool
    one_message_of "lsm-${tool%% *}"
    [[ $stderr == *MANIFEST.json*lsm-repair* ]]
  done
}

@test "store: without its manifest it is status 65, and lsm-repair is named" {
  lsm-put a 1
  lsm-flush
  lsm-put b 2
  cp -a data copy
  mv copy/MANIFEST.json .
  LSM_DIR=copy needs_repair
  rm copy/STATE copy/*.ver
  LSM_DIR=copy needs_repair
  # Not a copy: what processes share still tells where everything is.
  rm data/MANIFEST.json
  [ "$(lsm-get a)" = 1 ]
  run -65 --separate-stderr lsm-flush
  one_message_of lsm-flush
  [[ $stderr == *MANIFEST.json*lsm-repair* ]]
  rm data/*.ver
  needs_repair
}

@test "options: what is not one is status 64, said in one line" {
  local tool
  for tool in $ALL; do
    run -64 --separate-stderr "$tool" --no-such-option
    [ -z "$output" ]
    one_message_of "$tool"
    run -64 --separate-stderr "$tool" -Z
    one_message_of "$tool"
    run -64 --separate-stderr "$tool" -d
    one_message_of "$tool"
    run -64 --separate-stderr "$tool" --timeout
    one_message_of "$tool"
    run -64 --separate-stderr "$tool" --timeout soon
    one_message_of "$tool"
  done
  [ ! -e "$LSM_DIR" ]
}

@test "options: --timeout takes decimals and refuses everything else" {
  local bad
  lsm-put --timeout 1.5 k v
  lsm-put --timeout .5 k v
  lsm-put --timeout 0 k v
  for bad in '' . -1 1e3 1.2345 99999999999999999999 '1 '; do
    run -64 lsm-put --timeout "$bad" k v
  done
}

@test "options: operands where there are none to be are status 64" {
  local tool
  lsm-init
  for tool in lsm-scan lsm-flush lsm-compact lsm-shell lsm-stat; do
    run -64 --separate-stderr "$tool" operand
    one_message_of "$tool"
  done
}

@test "options: they end at the first operand, and at --" {
  lsm-put k -v
  [ "$(lsm-get k)" = -v ]
  lsm-put -- -k --help
  [ "$(lsm-get -- -k)" = --help ]
  lsm-del -- -k
  run -1 lsm-get -- -k
}

@test "options: -x takes keys and values in hex" {
  lsm-put -x 006bff 0a00
  [ "$(lsm-get -x 006BFF | od -An -tx1)" = " 0a 00" ]
  [ "$(lsm-scan -x --from 006b --to 006c --keys-only)" = $'\\0k\xff' ]
  lsm-del -x 006bff
  run -1 lsm-get -x 006bff
  for bad in 0 0g zz '00 '; do
    run -64 --separate-stderr lsm-put -x "$bad" 00
    one_message_of lsm-put
  done
  run -64 lsm-put -x 00 0
  run -64 lsm-get -x ''
  run -64 lsm-scan -x --from 0
}

# A SYNOPSIS on one line, single blanks.
flat() {
  tr -s ' \n' ' ' | sed 's/^ //; s/ $//'
}

@test "help: goes to stdout, and its synopsis is the man page's" {
  local tool help page
  for tool in $ALL; do
    run -0 --separate-stderr "$tool" --help
    [ -z "$stderr" ]
    help=$(sed -n '1,/^$/p' <<< "$output" | sed 's/^usage: //' | flat)
    page=$(mandoc -T ascii -O width=78 "$ROOT/bin/$tool.1" | col -bx |
      sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' | sed '1d;$d' | flat)
    [ -n "$help" ]
    [ "$help" = "$page" ]
  done
}

@test "help: every option it names is in the man page, and no other" {
  local tool
  for tool in $ALL; do
    "$tool" --help | sed '1,/^$/d' | grep -o '^  [ -].*--[a-z-]*' |
      grep -o -- '--[a-z-]*' | sort > help
    sed -n 's/^\.It Fl //p' "$ROOT/bin/$tool.1" |
      sed 's/^. , //; s/ .*//; s/^/-/' | sort > page
    diff help page
  done
}

@test "man pages: mandoc finds nothing to say, and lsm.7 names every tool" {
  local tool
  for tool in $ALL; do
    run -0 mandoc -T lint -W warning "$ROOT/bin/$tool.1"
    [ -z "$output" ]
    grep -q "^.It Xr $tool 1" "$ROOT/bin/lsm.7"
  done
  run -0 mandoc -T lint -W warning "$ROOT/bin/lsm.7"
  [ -z "$output" ]
}

# version HEADER NAME: the number the header gives that name
version() {
  sed -n "s/^#define $2 \([0-9]*\).*/\1/p" "$ROOT/formats/$1"
}

@test "version: names the tool and the versions the formats have" {
  local tool want
  want="formats: manifest $(version manifest.h MANIFEST_MAJOR),"
  want+=" log $(version wal.h WAL_MAJOR),"
  want+=" table $(version sstable.h SST_MAJOR),"
  want+=" records $(version records.h RECORD_VERSION)"
  for tool in $ALL; do
    run -0 --separate-stderr "$tool" --version
    [[ ${lines[0]} == "$tool "[0-9]*.[0-9]*.[0-9]* ]]
    [ "${lines[1]}" = "$want" ]
    [ -z "$stderr" ]
  done
}

@test "messages: control bytes in names are escaped" {
  run -66 --separate-stderr lsm-get -d $'no\n\e[31m\x7f\xff\xc2\x9b' k
  one_message_of lsm-get
  [[ $stderr == *'no\x0a\x1b[31m\x7f\xff\xc2\x9b'* ]]
  run -66 --separate-stderr lsm-get -d 'größe' k
  [[ $stderr == *größe* ]]
}

@test "success prints nothing that was not asked for" {
  local command
  for command in lsm-init "lsm-put k v" "lsm-del k" lsm-flush lsm-compact \
    "lsm-compact --all" "lsm-put -d x k v"; do
    run -0 --separate-stderr $command
    [ -z "$output$stderr" ]
  done
}

# What prints, a command a line; there is a store with a key k.
printers() {
  local tool
  for tool in $ALL; do
    printf '%s --help\n%s --version\n' "$tool" "$tool"
  done
  cat <<'LIST'
lsm-get k
lsm-get k k
lsm-get -f nul k
lsm-get --missing nosuch
lsm-get
lsm-scan
lsm-scan --count
lsm-scan --keys-only
lsm-del -n k
lsm-del -n
lsm-del -n --all
lsm-compact -v
lsm-compact --options leveled
lsm-config
lsm-config strategy
lsm-config --json
lsm-stat
lsm-stat --json
lsm-sim
lsm-sim --json
lsm-shell
LIST
}

@test "output: a full disk is status 74, told in one line" {
  local command
  [ -w /dev/full ] || skip "no /dev/full"
  lsm-put k v
  while read -r command; do
    run -74 --separate-stderr bash -c "echo k | $command > /dev/full"
    one_message_of "${command%% *}"
  done < <(printers)
}

@test "output: a closed stdout is status 74" {
  local command
  lsm-put k v
  while read -r command; do
    run -74 --separate-stderr bash -c "echo k | $command >&-"
    one_message_of "${command%% *}"
  done < <(printers)
  run -74 bash -c "lsm-scan --from z >&-"
}

@test "output: a tool that prints nothing does not need stdout" {
  lsm-put k v >&-
  lsm-del k >&-
  lsm-flush >&-
  lsm-put k v > /dev/full
}

@test "input: a closed stdin is status 74, never an empty input" {
  local command
  lsm-put k v
  for command in lsm-put "lsm-put k -" lsm-get lsm-del lsm-shell; do
    run -74 --separate-stderr bash -c "$command <&-"
    one_message_of "${command%% *}"
  done
  [ "$(lsm-get k)" = v ]
}

@test "descriptors: closed 0, 1 and 2 are never a file of the store" {
  bash -c 'lsm-put k v <&- >&- 2>&-'
  run -66 bash -c 'lsm-get -d nosuch k <&- 2>&-'
  run -65 bash -c 'printf "bad\n" | lsm-put 2>&-'
  [ "$(lsm-get k)" = v ]
  [ "$(lsm-scan --count)" = 1 ]
}

@test "input: a tool that waits on a terminal says so once, on stderr" {
  command -v script > /dev/null || skip "no script"
  local tool
  lsm-put k v
  for tool in lsm-put lsm-get lsm-del "lsm-put k -"; do
    # two lines and the end of the input, typed
    { printf 'a\nb\n'; sleep 0.2; printf '\004'; sleep 0.2; printf '\004'; } |
      script -qec "$tool 2> err" /dev/null > typed || true
    [ "$(grep -c '^lsm-.* from the terminal' err)" -eq 1 ]
    : | $tool 2> err || true
    [ ! -s err ]
  done
}

@test "output: a reader that goes away ends a tool quietly" {
  seq -f '%09.0f' 100000 | sed 's/$/\tvalue/' | lsm-put
  run -0 bash -c 'lsm-scan 2>err | head -n 1; [ "${PIPESTATUS[0]}" -eq 141 ]'
  [ ! -s err ]
}

@test "limits: a file size limit is status 73 and not a signal" {
  lsm-put k v
  head -c 3000000 /dev/zero > big
  run -73 --separate-stderr bash -c 'ulimit -f 1000; lsm-put big - < big'
  one_message_of lsm-put
  [ "$(lsm-get k)" = v ]
  lsm-put after it
  [ "$(lsm-scan --count)" = 2 ]
}

@test "status: a flush that fails after the write is a warning, status 0" {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  cat > small.sh <<'SH'
mkdir m && mount -t tmpfs -o size=6m none m || exit 99
export LSM_DIR=m/data
lsm-init --compression none write_buffer=1M || exit 1
head -c 900000 /dev/urandom | lsm-put a - || exit 2
# room for another log and none for a table
head -c 4200000 /dev/zero > m/fill || exit 3
head -c 500000 /dev/urandom > value
lsm-put b - < value 2> err || exit 4
lsm-put c - < value 2>> err || exit 5
grep '^lsm-put: warning: ' err || exit 6
lsm-get b | cmp - value || exit 7
lsm-get c | cmp - value || exit 8
rm m/fill
lsm-flush || exit 9
lsm-get c | cmp - value || exit 10
SH
  run --separate-stderr unshare -m bash small.sh
  [ "$status" -ne 99 ] || skip "cannot mount"
  [ "$status" -eq 0 ]
}

@test "locks: --no-wait ends with 75 and a hint who holds it" {
  lsm-put k v
  hold_lock
  run -75 --separate-stderr lsm-put --no-wait k w
  one_message_of lsm-put
  run -75 lsm-del --no-wait k
  run -75 --separate-stderr bash -c "printf 'a\tb\n' | lsm-put --no-wait"
  one_message_of lsm-put
  release_lock
  [ "$(lsm-get k)" = v ]
  lsm-put --no-wait k w
  [ "$(lsm-get k)" = w ]
}

@test "locks: the hint names tool and pid of the writer that has it" {
  needs_strace
  local tracer pid
  lsm-put k v
  # a writer stopped while it has WRITE: it appends to the log there
  strace -f -qq -o trace -e trace=pwrite64 \
    -e inject=pwrite64:signal=SIGSTOP:when=2 lsm-put k w 3>&- &
  tracer=$!
  eventually grep -q 'stopped by' trace
  pid=$(awk '{ print $1; exit }' trace)
  run -75 --separate-stderr lsm-put --no-wait k x
  kill -CONT "$pid"
  wait "$tracer"
  one_message_of lsm-put
  [[ $stderr == *"lsm-put (pid $pid)"* ]]
  [ "$(lsm-get k)" = w ]
}

@test "locks: --timeout ends with 75 once the time is over" {
  lsm-put k v
  hold_lock
  SECONDS=0
  run -75 --separate-stderr lsm-put --timeout 0.3 k w
  one_message_of lsm-put
  [ "$SECONDS" -le 3 ]
}

@test "locks: a writer waits for the lock and then goes on" {
  lsm-put k v
  hold_lock
  lsm-put k w 3>&- &
  lsm-put --timeout 30 l w 3>&- &
  sleep 0.2
  [ "$(lsm-get k)" = v ]
  release_lock
  wait
  [ "$(lsm-get k)" = w ]
  [ "$(lsm-get l)" = w ]
}

@test "locks: readers wait for nobody" {
  lsm-put k v
  hold_lock
  [ "$(lsm-get --no-wait k)" = v ]
  [ "$(lsm-scan --no-wait --count)" = 1 ]
}

# Run a command as somebody who may only read what is here.
as_nobody() {
  local dir=$BATS_TEST_TMPDIR
  if [ "$(id -u)" -ne 0 ]; then
    "$@"
    return
  fi
  while [ "$dir" != / ] && [ "$dir" != /tmp ]; do
    chmod a+x "$dir"
    dir=$(dirname "$dir")
  done
  setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

@test "permission: who may only read reads, and writing is status 77" {
  [ "$(id -u)" -ne 0 ] || command -v setpriv > /dev/null || skip "no setpriv"
  lsm-put k v
  lsm-flush
  lsm-put l w
  chmod -R a-w,a+rX data
  as_nobody test -x "$(command -v lsm-get)" || skip "tools not reachable"
  [ "$(as_nobody lsm-get k)" = v ]
  [ "$(as_nobody lsm-get l)" = w ]
  [ "$(as_nobody lsm-scan)" = $'k\tv\nl\tw' ]
  run -1 as_nobody lsm-get nosuch
  run -77 --separate-stderr as_nobody lsm-put k w
  one_message_of lsm-put
  run -77 as_nobody lsm-flush
}

@test "permission: who may not read is told so, status 77" {
  [ "$(id -u)" -ne 0 ] || command -v setpriv > /dev/null || skip "no setpriv"
  lsm-put k v
  as_nobody test -x "$(command -v lsm-get)" || skip "tools not reachable"
  chmod 700 data
  [ "$(id -u)" -eq 0 ] || chmod 000 data
  run -77 --separate-stderr as_nobody lsm-get k
  one_message_of lsm-get
  chmod 700 data
}

@test "read-only filesystem: reading works, writing is status 77" {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  lsm-put k v
  cat > ro.sh <<'SH'
mount --bind data data && mount -o remount,ro,bind data || exit 99
[ "$(lsm-get k)" = v ] || exit 1
[ "$(lsm-scan --count)" = 1 ] || exit 2
lsm-put k w
[ $? -eq 77 ] || exit 3
SH
  run --separate-stderr unshare -m bash ro.sh
  [ "$status" -ne 99 ] || skip "cannot mount"
  [ "$status" -eq 0 ]
}

@test "order: for plain keys the output is that of sort" {
  printf '%s\tv\n' b a B aa 'a b' ' ' ~ a- é z | lsm-put
  lsm-scan --keys-only > scanned
  sort scanned | diff - scanned
}
