#!/usr/bin/env bats
# disk.bats - a disk that our store has filled to 85 % is compacted to the end.

load helper

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  export LC_ALL=C
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount"
}

teardown() {
  local m
  for m in "$BATS_TEST_TMPDIR"/*/m; do
    ! mountpoint -q "$m" || eventually umount "$m"
  done
}

# The most that was in use of the disk, in KiB, until there is a file `stop`.
watch_peak() {
  python3 - "$1" <<'PY'
import os, sys, time
peak = 0
while not os.path.exists(sys.argv[1] + '/stop'):
    v = os.statvfs(sys.argv[1] + '/m')
    peak = max(peak, (v.f_blocks - v.f_bfree) * v.f_frsize >> 10)
    time.sleep(0.002)
print(peak)
PY
}

# What `df` calls $1 of the disk of $2, a number.
df_of() {
  df -k --output="$1" "$2" | tail -n 1 | tr -dc 0-9
}

# Until nothing is due: 75 says that those whom the writers started are at it.
compact_all_due() {
  local i
  for ((i = 0; i < 300; i++)); do
    lsm-compact -d "$1" > /dev/null || { [ $? -eq 75 ] && sleep 0.1; } || return
    lsm-compact -d "$1" --is-needed || { [ $? -eq 1 ] && return; } || return
  done
  return 1
}

# fill HOW: batches of overwrites and new keys, until 85 % are in use.
fill() {
  local i=0
  while [ "$(df_of pcent "$1/m")" -lt 85 ]; do
    i=$((i + 1))
    awk -v i=$i 'BEGIN { srand(i); for (k = 0; k < 1000; k++)
      printf "%05d\t%d-%0480d\n", rand() * 1e5, i, k }' |
      lsm-put -d "$1/m/d" --sync none
  done
  lsm-flush -d "$1/m/d"
}

# near_full STRATEGY MAINTENANCE, in ./$2, with runs, tables and jobs small
# beside an image of $MIB MiB.
near_full() {
  local used status=0
  mkdir -p "$2/m"
  truncate -s "${MIB}M" "$2/image"
  mkfs.ext4 -q -F -m 0 "$2/image"
  mount -o loop "$2/image" "$2/m"
  lsm-init -d "$2/m/d" --strategy "$1" maintenance="$2" compression=none \
    compression_last=none write_buffer=$((MIB * 8))K \
    table_bytes=$((MIB * 16))K table_bytes_max=$((MIB * 32))K \
    job_bytes=$((MIB * 128))K
  fill "$2"
  used=$(df_of used "$2/m")
  lsm-scan -d "$2/m/d" | md5sum > "$2/want"
  watch_peak "$2" > "$2/peak" & watcher=$!
  { compact_all_due "$2/m/d" && lsm-compact -d "$2/m/d" --all; } || status=$?
  touch "$2/stop"
  wait $watcher
  echo "# $1, $2: $used KiB of $(df_of size "$2/m") in use, at most" \
    "$(cat "$2/peak") while compacting, $(df_of used "$2/m") then" > "$2/told"
  [ $status -eq 0 ] || return $status
  # the end: one run of tables
  [ "$(jq '[.levels[][]] | length' "$2/m/d/MANIFEST.json")" -eq 1 ]
  lsm-scan -d "$2/m/d" | md5sum | cmp - "$2/want"
  lsm-verify -q -d "$2/m/d"
}

# Both ways of maintenance at once, each on a disk of its own.
both() {
  local how pids=()
  MIB=${FULL:+96} MIB=${MIB:-24}
  for how in auto cron; do
    # a shell of its own: nothing in it may fail unseen
    ( set -e; near_full "$1" $how ) 3>&- > $how.log 2>&1 & pids+=($!)
  done
  for how in "${pids[@]}"; do wait "$how" || { tail -n 20 ./*.log; false; }; done
  cat auto/told cron/told >&3
}

@test "disk: filled to 85 % it is compacted to the end: leveled" {
  both leveled
}

@test "disk: filled to 85 % it is compacted to the end: tiered" {
  both tiered
}

@test "disk: filled to 85 % it is compacted to the end: lazy-leveled" {
  both lazy-leveled
}

@test "disk: filled to 85 % it is compacted to the end: unified" {
  both unified
}
