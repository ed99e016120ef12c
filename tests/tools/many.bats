# many.bats - many processes on one store: nothing lost, nobody refused.

load helper

# Every line of file $1 (key TAB value) is in the store.
all_there() {
  cut -f1 "$1" | lsm-get -f tsv > got
  cmp "$1" got
}

@test "many: gets beside a loading, flushing and compacting writer never fail" {
  local n=${FULL:+10000} # promised; fewer are quicker
  seq -f 'old%06g' 1 300 | awk '{ print $0 "\tv" $0 }' | lsm-put
  (
    while [ ! -e stop ]; do
      seq 1 20000 | awk '{ printf "new%07d\t%050d\n", rand() * 1e7, $1 }' |
        lsm-put && lsm-flush && { lsm-compact || [ $? -eq 75 ]; } || echo bad >> writer-failed
    done
  ) 3>&- &
  seq 1 "${n:-2000}" | awk '{ printf "old%06d\n", ($1 * 7) % 300 + 1 }' |
    xargs -P4 -I{} sh -c '[ "$(lsm-get {})" = v{} ] || echo {} >> failed'
  touch stop
  wait
  [ ! -e failed ]
  [ ! -e writer-failed ]
  lsm-verify -q
}

# One writer of kind $1, number $2; acknowledged records go to acked.$2.
writer() {
  local i
  case $1 in
  put)
    for i in {1..20}; do
      lsm-put "w$2-$i" "v$i" && printf 'w%s-%s\tv%s\n' "$2" "$i" "$i" >> "acked.$2"
    done ;;
  batch)
    for i in {1..8}; do
      seq 1 200 | sed "s/.*/w$2-$i-&\tv&/" > "in.$2"
      lsm-put --atomic < "in.$2" && cat "in.$2" >> "acked.$2"
    done ;;
  stream)
    seq 1 3000 | sed "s/.*/w$2-&\tv&/" > "in.$2"
    lsm-put --batch-size 50 < "in.$2" && cat "in.$2" >> "acked.$2" ;;
  delete)
    for i in {1..15}; do
      lsm-put "w$2-$i" gone && lsm-del "w$2-$i" && echo "w$2-$i" >> "deleted.$2"
    done ;;
  prefix)
    for i in {1..6}; do
      seq 1 100 | sed "s/.*/w$2-$i-&\tgone/" | lsm-put --atomic &&
        lsm-del --prefix "w$2-$i-" && echo "w$2-$i" >> "deleted.$2"
    done ;;
  shell)
    seq 1 40 | sed "s/.*/put w$2-& v&/" | lsm-shell > "said.$2" &&
      sed -n 's/^> Put Key: \(.*\), Value: \(.*\)$/\1\t\2/p' "said.$2" >> "acked.$2" ;;
  queue)
    "$BUILD/tests/tools/queue" "$LSM_DIR" "w$2-" 3000 >> "acked.$2" ;;
  load)
    seq 1 5000 | sed "s/.*/w$2-&\tv&/" > "in.$2"
    lsm-put < "in.$2" && cat "in.$2" >> "acked.$2" ;;
  esac
}

# Sixteen writers of eight kinds and two compactors, half of them through
# directory $1, half through $2; what was acknowledged must be there.
sixteen() {
  local kinds=(put batch stream delete prefix shell queue load)
  local i pids=() dirs=("$1" "$2")
  for i in {1..16}; do
    LSM_DIR=${dirs[i / 8 % 2]} writer "${kinds[i % 8]}" "$i" 3>&- & pids+=($!)
  done
  for i in 0 1; do
    while [ ! -e stop ]; do
      # 75: others, or what the writers have started, are at all of it
      lsm-compact -d "${dirs[i]}" 2> /dev/null || [ $? -eq 75 ] ||
        echo failed >> compact-failed
      lsm-flush -d "${dirs[i]}" || echo $? >> compact-failed
    done 3>&- &
  done
  for i in "${pids[@]}"; do wait "$i"; done
  touch stop
  wait
  [ ! -e compact-failed ] &&
    [ "$(cat acked.* | wc -l)" -eq $((2 * (20 + 1600 + 3000 + 40 + 3000 + 5000))) ] &&
    cat acked.* | sort > all &&
    lsm-scan > scanned &&
    cmp all scanned &&
    [ "$(cat deleted.* | wc -l)" -eq $((2 * (15 + 6))) ] &&
    lsm-verify -q
}

@test "many: 16 writers of all kinds and two compactors lose no acknowledged write" {
  lsm-init write_buffer=32K table_bytes=32K level0_bytes=128K
  sixteen data data
}

@test "many: the same through two bind mounts at once" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount"
  lsm-init write_buffer=32K table_bytes=32K level0_bytes=128K
  mkdir m1 m2
  mount --bind data m1
  mount --bind data m2
  sixteen m1 m2 || { umount m1 m2; false; }
  umount m1 m2
}

@test "many: two bind mounts of one store are one store" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount"
  local i
  lsm-put first 1
  mkdir m1 m2
  mount --bind data m1
  mount --bind data m2
  for i in {1..25}; do
    LSM_DIR=m1 lsm-put "a$i" 1 && LSM_DIR=m2 lsm-get "a$i" > out && [ "$(cat out)" = 1 ]
  done || { umount m1 m2; false; }
  for i in m1 m2; do
    ( seq 1 40 | LSM_DIR=$i xargs -P4 -I{} lsm-put "$i-{}" v ) 3>&- &
  done
  wait
  LSM_DIR=m1 lsm-flush
  LSM_DIR=m2 lsm-compact --all
  LSM_DIR=m2 lsm-put last 1
  LSM_DIR=m1 lsm-scan --count > count || true
  LSM_DIR=m1 lsm-verify -q || echo damaged > count
  umount m1 m2
  [ "$(cat count)" = 107 ]
  [ "$(lsm-scan --count)" -eq 107 ]
}

# Bind mounts m1 to m$1 of the store; then the rest, and no mount is left.
through_mounts() {
  local n=$1 i status=0
  shift
  for i in $(seq "$n"); do
    mkdir -p "m$i" && mount --bind data "m$i" || return
  done
  "$@" || status=$?
  exec 7>&-
  wait
  for i in $(seq "$n"); do umount "m$i"; done
  return "$status"
}

# Somebody holds the store open through m1 and reads records from fd 7.
keep_open() {
  mkfifo pipe
  lsm-put -d m1 < pipe > kept 2>&1 3>&- & keeper=$!
  exec 7> pipe
  printf 'kept\topen\n' >&7
  eventually lsm-get -d m1 kept > /dev/null
}

broken_install() {
  local m n
  keep_open
  lsm-put -d m1 c 3
  # Dead between the new manifest's rename and its publication: of the flush,
  # then of a rotation.
  for m in m2 m3; do
    [ $m = m2 ] && n=8 || n=4
    strace -f -qq -o /dev/null -e trace=fsync \
      -e inject=fsync:signal=SIGKILL:when=$n lsm-flush -d m1 3>&- || true
    [ "$(lsm-get -d $m c)" = 3 ] && lsm-put -d $m "after $m" 1 || return
  done
  printf 'more\t1\n' >&7
  exec 7>&-
  wait $keeper && [ "$(lsm-get more)" = 1 ] && lsm-verify -q
}

@test "many: a second mount enters beside an install that broke off" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount"
  needs_strace
  lsm-put a 1
  rm data/STATE data/*.idx data/*.ver
  through_mounts 3 broken_install
}

twenty() {
  local i
  keep_open
  for i in {2..20}; do
    lsm-put -d "m$i" "k$i" "$i" && lsm-flush -d "m$i" || return
  done
  for i in {1..20}; do
    printf 'more%s\t1\n' "$i" >&7
    eventually lsm-get -d "m$i" "more$i" > /dev/null || return
  done
  exec 7>&-
  wait $keeper || { cat kept; return 1; }
  [ "$(lsm-scan --count)" -eq 41 ] && lsm-verify -q
}

@test "many: twenty mounts at once, more than STATE lists, are one store" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount"
  lsm-put a 1
  through_mounts 20 twenty
}

@test "many: a remount in the same boot leads to a rebuild, not to stale answers" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to mount"
  truncate -s 32M image
  mkfs.ext4 -q -F image
  mkdir m
  mount -o loop image m
  LSM_DIR=m/d lsm-put a 1
  LSM_DIR=m/d lsm-put b 2
  umount m
  mount -o loop image m
  LSM_DIR=m/d lsm-put c 3 && LSM_DIR=m/d lsm-scan > out
  LSM_DIR=m/d lsm-verify -q || echo bad >> out
  umount m
  [ "$(cat out)" = $'a\t1\nb\t2\nc\t3' ]
}

@test "many: a long scan stays what it was, its files stay, and then they go" {
  lsm-init write_buffer=1M table_bytes=256K
  # More than a pipe and the tool's buffer hold together.
  seq -f 'k%06g' 100001 400000 | awk '{ print $0 "\told" $0 }' > old
  lsm-put < old
  lsm-flush
  mkfifo pipe
  lsm-scan > pipe 3>&- &
  exec 7< pipe
  dd bs=1 count=10 of=head status=none <&7 # the scan has begun, and waits
  for _ in 1 2 3; do
    seq -f 'k%06g' 100001 3 400000 | awk '{ print $0 "\tnew" $0 }' | lsm-put
    lsm-flush
    lsm-compact --all
  done
  [ "$(files | grep -c sst)" -gt "$(grep -c '"smallest' data/MANIFEST.json)" ]
  cat head - <&7 > seen
  exec 7<&-
  wait
  cmp old seen
  lsm-flush
  python3 - > expected <<'PY'
import json
m = json.load(open('data/MANIFEST.json'))
names = ['LOCK', 'MANIFEST.json', 'STATE', '%06d.ver' % m['generation']]
for log in m['logs']:
    names += ['%06d.wal' % log['number'], '%06d.idx' % log['number']]
for level in m['levels']:
    for run in level:
        names += ['%06d.sst' % t['number'] for t in run]
print('\n'.join(sorted(names)))
PY
  files | sort > there
  diff expected there
}

@test "many: kill -9 at any moment of a stream loses nothing acknowledged" {
  local i n
  lsm-init write_buffer=16K table_bytes=16K
  for i in {1..12}; do
    seq 1 100000 | sed "s/.*/r$i-&\tv/" > in
    lsm-put --batch-size 7 < in 3>&- &
    sleep "0.0$((RANDOM % 9 + 1))"
    kill -9 $! 2> /dev/null || true
    wait $! 2> /dev/null || true
    n=$(lsm-scan --prefix "r$i-" --count)
    [ $((n % 7)) -eq 0 ] || [ "$n" -eq 100000 ]
    seq 1 "$n" | sed "s/.*/r$i-&\tv/" | sort > expected
    lsm-scan --prefix "r$i-" > got
    cmp expected got
  done
  lsm-flush
  lsm-compact --all
  lsm-verify -q
}
