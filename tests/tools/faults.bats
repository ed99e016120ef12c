# faults.bats - what the kernel may refuse: documented status and message,
# nothing lost, and work goes on when the fault is gone.

load helper

# inject EXPRESSION COMMAND...: under strace, one fault.
inject() {
  local what=$1
  shift
  strace -f -qq -o /dev/null -e trace="${what%%:*}" -e inject="$what" "$@"
}

needs_root() {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount"
}

# Fill whatever is mounted at m with records until a put fails; acknowledged
# keys are in `acked`.
fill() {
  local i
  for i in {1..400}; do
    head -c 20000 /dev/urandom | base64 -w0 > value
    lsm-put -d m/d "k$i" - < value 2> message || return "$?"
    cksum < value > "sum.$i"
    echo "$i" >> acked
  done
}

check_acked() {
  local i
  while read -r i; do
    lsm-get -d m/d "k$i" | cksum | cmp - "sum.$i" || return
  done < acked
}

full_disk() {
  local status=0
  lsm-init -d m/d write_buffer=256K table_bytes=256K maintenance=cron level0_hard=100
  fill || status=$?
  [ "$status" -eq 73 ]
  [ "$(wc -l < message)" -eq 1 ]
  grep -q 'No space left' message
  check_acked
  lsm-verify -q -d m/d
  rm m/ballast
  lsm-put -d m/d after fault
  [ "$(lsm-get -d m/d after)" = fault ]
  lsm-flush -d m/d
  check_acked
  lsm-verify -q -d m/d
}

@test "faults: a full tmpfs is status 73, nothing is lost, and work goes on" {
  needs_root
  mkdir m
  mount -t tmpfs -o size=6m tmpfs m
  head -c 2000000 /dev/zero > m/ballast
  full_disk || { umount m; false; }
  umount m
}

@test "faults: a full ext4 is status 73, nothing is lost, and work goes on" {
  needs_root
  mkdir m
  truncate -s 8M image
  mkfs.ext4 -q -F image
  mount -o loop image m
  head -c 2000000 /dev/zero > m/ballast
  full_disk || { umount m; false; }
  umount m
}

# What is loaded fills the disk: a prefix stays, or with --atomic nothing.
full_load() {
  seq 400000 | awk '{ printf "%08d\t%064d%d\n", $1, $1 * 7919 % 1000003, $1 }' > load
  run -73 --separate-stderr lsm-put -d m/d < load
  one_message_of lsm-put
  [[ $stderr == *"No space left"* ]]
  lsm-verify -q -d m/d
  lsm-scan -d m/d > kept
  [ "$(wc -l < kept)" -gt 10000 ]
  [ "$(wc -l < kept)" -lt 400000 ]
  head -n "$(wc -l < kept)" load | cmp - kept
  [ -z "$(find m/d -name '*tmp*')" ]
  # and no table that nobody names fills it further
  lsm-flush -d m/d
  [ "$(lsm-dump -d m/d | jq '[.levels[][][]] | length')" -eq "$(find m/d -name '*.sst' | wc -l)" ]
  rm m/ballast
  run -73 lsm-put -d m/d --atomic < load
  lsm-scan -d m/d | cmp - kept
  lsm-put -d m/d after fault
  [ "$(lsm-get -d m/d after)" = fault ]
}

@test "faults: a load that fills the disk is status 73 and keeps a prefix, or with --atomic nothing" {
  needs_root
  mkdir m
  mount -t tmpfs -o size=14m tmpfs m
  head -c 2000000 /dev/zero > m/ballast
  lsm-init -d m/d write_buffer=64K load_memory=4M maintenance=cron compression=none \
    compression_last=none level0_hard=1000
  full_load || { umount m; false; }
  umount m
}

@test "faults: a failed fdatasync is status 74 and never acknowledged; then it heals" {
  needs_strace
  lsm-put before 1
  run -74 --separate-stderr inject fdatasync:error=EIO:when=1 lsm-put doubt 1
  one_message_of lsm-put
  [[ $stderr == *fdatasync* ]]
  lsm-put after 1
  [ "$(lsm-get before)$(lsm-get after)" = 11 ]
  # The log whose sync failed has become a table.
  [ "$(files | grep -c sst)" -ge 1 ]
  lsm-verify -q
}

# Two writers share a sync that fails: A leads it (its status goes to a.status),
# B waits for it as process $b.
shared_sync_fails() {
  lsm-put before 1
  { status=0
    inject fdatasync:error=EIO:delay_enter=1000000 lsm-put A doubt 2> a.message || status=$?
    echo "$status" > a.status; } 3>&- &
  a=$!
  eventually lsm-get A > /dev/null
  lsm-put B waiting 2> b.message 3>&- & b=$!
  eventually lsm-get B > /dev/null
}

# A byte of B's batch, as a disk may lose it.
lose_b() {
  local log=data/000001.wal
  printf '\377' |
    dd of=$log bs=1 seek="$(grep -abo waiting $log | cut -d: -f1)" conv=notrunc status=none
}

@test "faults: who waited for a failed sync heals the log, and is acknowledged" {
  needs_strace
  shared_sync_fails
  wait $b
  wait $a
  [ "$(cat a.status)" -eq 74 ]
  [ "$(lsm-scan)" = $'A\tdoubt\nB\twaiting\nbefore\t1' ]
  lsm-verify -q
}

@test "faults: a write that a failed sync lost is status 74 for the waiter who finds out" {
  needs_strace
  shared_sync_fails
  lose_b
  status=0
  wait $b || status=$?
  [ "$status" -eq 74 ]
  wait $a
  [ "$(cat a.status)" -eq 74 ]
  grep -q '^lsm-put: .*000001.wal: .*may be lost' b.message
  run -1 lsm-get B
  [ "$(lsm-get A)" = doubt ]
  lsm-verify -q
}

@test "faults: a waiter whose log another has healed is told how far" {
  needs_strace
  local lost
  for lost in no yes; do
    rm -rf data
    shared_sync_fails
    kill -STOP $b
    wait $a
    [ $lost = no ] || lose_b
    lsm-put C heals
    kill -CONT $b
    status=0
    wait $b || status=$?
    [ $lost = no ] || [ "$status" -eq 74 ]
    [ $lost = yes ] || [ "$status" -eq 0 ]
    status=0
    lsm-get B > /dev/null || status=$?
    [ $lost = no ] || [ "$status" -eq 1 ]
    [ $lost = yes ] || [ "$status" -eq 0 ]
    lsm-verify -q
  done
}

# lsm-put with option $1 beside a sync of another that takes a second.
beside_a_slow_sync() {
  rm -rf data
  lsm-put before 1
  inject fdatasync:delay_enter=1000000 lsm-put slow 1 3>&- & a=$!
  eventually lsm-get slow > /dev/null
  lsm-put "$1" k new
  [ "$(lsm-get k)" = new ]
  wait $a
}

@test "faults: --no-wait and --timeout do not give up what is written for a slow sync" {
  needs_strace
  beside_a_slow_sync --no-wait
  beside_a_slow_sync --timeout=0.1
}

@test "faults: a failed fsync of a table leaves the log in place, and a later flush works" {
  needs_strace
  lsm-put k v
  run -74 inject fsync:error=EIO:when=2 lsm-flush
  [ "$(lsm-get k)" = v ]
  lsm-flush
  [ "$(lsm-get k)" = v ]
  lsm-verify -q --strict
}

@test "faults: out of descriptors is status 71, and nothing is lost" {
  ! sanitized || skip "a program that is not static needs descriptors to start"
  lsm-put k v
  local n
  for n in 5 6 7; do
    run -71 --separate-stderr sh -c "ulimit -n $n; exec lsm-put k2 v2"
    one_message_of lsm-put
    run -71 sh -c "ulimit -n $n; exec lsm-get k"
  done
  [ "$(lsm-get k)" = v ]
  lsm-put k2 v2
  lsm-verify -q
}

# Command with ever more descriptors, until it succeeds: until then 71.
until_enough() {
  local n status
  for n in {4..20}; do
    rm -rf data
    cp -a original data
    status=0
    ( ulimit -n "$n"; exec "$@" ) > /dev/null 2> message 3>&- || status=$?
    [ "$status" -ne 0 ] || break
    [ "$status" -eq 71 ] && [ "$(wc -l < message)" -eq 1 ] ||
      { echo "$* with $n: status $status: $(cat message)"; return 1; }
  done
  [ "$status" -eq 0 ] && [ "$n" -gt 5 ] || { echo "$*: $n: $status"; return 1; }
  lsm-verify -q && [ "$(lsm-scan --count)" -ge 3 ]
}

@test "faults: every tool is out of descriptors with status 71, or has enough" {
  ! sanitized || skip "a program that is not static needs descriptors to start"
  local i
  lsm-init level0_runs=2 maintenance=cron
  for i in 1 2 3; do
    lsm-put "k$i" v
    lsm-flush
  done
  lsm-put k4 v
  mv data original
  until_enough lsm-put k v
  until_enough lsm-get k1
  until_enough lsm-del k4
  until_enough lsm-scan
  until_enough lsm-flush
  until_enough lsm-compact
  until_enough lsm-compact --all
  until_enough lsm-compact --plan
  until_enough lsm-dump
  until_enough lsm-stat
  until_enough lsm-verify -q
  until_enough lsm-config block_bytes=8K
}

# refused STATUS PATTERN COMMAND...: ends so, with one message.
refused() {
  local want=$1 pattern=$2 status=0
  shift 2
  "$@" > /dev/null 2> message || status=$?
  [ "$status" -eq "$want" ] && [ "$(wc -l < message)" -eq 1 ] &&
    [[ $(cat message) == "$1: "*$pattern* ]] ||
    { echo "$*: status $status: $(cat message)"; return 1; }
}

read_only() {
  [ "$(lsm-scan -d ro)" = $'a\t1\nb\t2\nc\t3' ] &&
    [ "$(lsm-get -d ro c)" = 3 ] &&
    lsm-verify -q -d ro && lsm-dump -d ro > /dev/null &&
    refused 77 'Read-only file system' lsm-put -d ro d 4 &&
    refused 77 'Read-only file system' lsm-del -d ro a &&
    refused 77 'Read-only file system' lsm-flush -d ro &&
    refused 77 'Read-only file system' lsm-compact -d ro &&
    [ "$(lsm-scan -d ro --count)" -eq 3 ]
}

writable_again() {
  lsm-put -d ro d 4 && lsm-del -d ro a && lsm-flush -d ro &&
    lsm-compact -d ro --all && lsm-verify -q -d ro --strict
}

@test "faults: a read-only mount can be read, a write to it is 77, and goes on when it may" {
  needs_root
  lsm-put a 1
  lsm-put b 2
  lsm-flush
  lsm-put c 3
  mkdir ro
  mount --bind data ro
  mount -o remount,bind,ro ro
  read_only || { umount ro; false; }
  mount -o remount,bind,rw ro
  writable_again || { umount ro; false; }
  umount ro
  [ "$(lsm-scan)" = $'b\t2\nc\t3\nd\t4' ]
}

# In a mount of its own, read only, it cannot use what writers share.
asks_on() {
  local i got
  coproc SHELL { lsm-shell -d ro; }
  read -r -t 10 -u "${SHELL[0]}" && read -r -t 10 -u "${SHELL[0]}"
  for i in $(seq 10 60); do
    lsm-put k "value $i"
    echo 'get k' >&"${SHELL[1]}"
    read -r -t 10 -u "${SHELL[0]}" got
    [ "$got" = "> Key: k, Value: value $i" ] || { echo "$got after value $i"; return 1; }
  done
  eval "exec ${SHELL[1]}>&-"
  wait "$SHELL_PID"
}

@test "faults: a reader of a read-only mount sees each write at once" {
  needs_root
  lsm-put k "value 0"
  mkdir ro
  mount --bind data ro
  mount -o remount,bind,ro ro
  asks_on || { kill "$SHELL_PID"; umount -l ro; false; }
  umount ro
}

# Fail call number N of name $2 with $3, for each N until the command succeeds
# untouched; the status must be $1, the documented one, or 0 where the command
# can do without, and the store sound afterwards.
every_call() {
  local want=$1 call=$2 error=$3 n status
  shift 3
  for n in {1..60}; do
    rm -rf data
    cp -a original data
    status=0
    inject "$call:error=$error:when=$n" "$@" > /dev/null 2> message || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq "$want" ] ||
      { echo "$call $error $n: status $status: $(cat message)"; return 1; }
    [ "$status" -eq 0 ] || [ "$(wc -l < message)" -eq 1 ] ||
      { echo "$call $error $n: $(cat message)"; return 1; }
    [ "$(lsm-get old)" = 1 ] && lsm-put next 1 && lsm-flush &&
      lsm-verify -q --strict ||
      { echo "$call $error $n: not sound afterwards"; return 1; }
    [ "$status" -ne 0 ] || [ -s message ] || [ "$n" -lt 12 ] || break
  done
}

@test "faults: each call of a put and a flush failing once does no lasting harm" {
  needs_strace
  lsm-init write_buffer=4K
  lsm-put old 1
  mv data original
  every_call 73 pwrite64 ENOSPC lsm-put new 2
  every_call 73 pwrite64 ENOSPC lsm-flush
  every_call 74 pwrite64 EIO lsm-flush
  every_call 74 fsync EIO lsm-flush
  every_call 71 openat EMFILE lsm-flush
  every_call 74 renameat EIO lsm-flush
  every_call 71 fcntl ENOLCK lsm-put new 2
}

# right_or_65 COMMAND...: status 0, or 65 with a message, which is counted.
right_or_65() {
  local status=0
  "$@" 2> message || status=$?
  case $status in
  0) ;;
  65) [ -s message ] && damaged=$((damaged + 1)) && return 1 ;;
  *) echo "$*: status $status: $(cat message)"; touch wrong; return 1 ;;
  esac
}

# A copy taken while the store is written to: what was there before is as it
# was, in a scan and in gets; of what came meanwhile each value is one that
# was written; the next put works, and lsm-verify has nothing to say.
look_at_copy() {
  if right_or_65 lsm-scan -d copy > got; then
    grep '^k' got | cmp - before || touch wrong
    ! grep -v '^k' got | grep -qvE $'^n([0-9]+)\tv\\1-[0-9]+$' || touch wrong
  fi
  if cut -f1 before | right_or_65 lsm-get -d copy -f tsv > got; then
    cmp got before || touch wrong
  fi
  if right_or_65 lsm-verify -q -d copy && right_or_65 lsm-put -d copy next 1; then
    whole=$((whole + 1))
    [ "$(lsm-get -d copy next)$(lsm-get -d copy k00007)" = 1v7 ] || touch wrong
    lsm-verify -q -d copy || touch wrong
  fi
}

@test "faults: a copy of a live store gives right answers or 65" {
  local whole=0 damaged=0 round
  lsm-init write_buffer=16K table_bytes=16K
  seq 1 500 | awk '{ printf "k%05d\tv%d\n", $1, $1 }' > before
  lsm-put < before
  ( round=0
    while [ ! -e stop ]; do
      round=$((round + 1))
      seq 1 300 | sed "s/.*/n&\tv&-$round/" | lsm-put; lsm-flush; lsm-compact
    done ) > /dev/null 2>&1 3>&- &
  for _ in {1..25}; do
    rm -rf copy
    cp -a data copy 2> /dev/null || true
    # A file may be gone before cp comes to it: MANIFEST.json, too.
    if [ -e copy/MANIFEST.json ]; then look_at_copy; fi
  done
  touch stop
  wait
  echo "$whole copies were whole, $damaged answers were 65"
  [ ! -e wrong ]
  [ "$whole" -gt 0 ]
}
