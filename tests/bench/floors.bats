# floors.bats - what must never get slower or larger than this.
#
# Ratios of two commands measured in turn in one run, never absolute times.
# Promised are 2,000,000 records, which FULL=1 takes; else there are 200,000
# (and 400,000 unflushed ones, as promised).

load ../tools/helper

SPAWN=${BUILD:-$ROOT/build}/tests/bench/spawn

setup_file() {
  local n=200000
  [ -z "${FULL:-}" ] || n=2000000
  export RECORDS=$n
  cd "$BATS_FILE_TMPDIR" || return
  mawk -v n="$n" 'BEGIN { srand(7); for (i = 0; i < n; i++)
    printf "%08.0f%08.0f\t%08.0f%08.0f%08.0f%08.0f%08.0f%08.0f%s\n",
      rand() * 99999999, i * 7919 % 99999989, rand() * 99999999,
      rand() * 99999999, rand() * 99999999, rand() * 99999999,
      rand() * 99999999, rand() * 99999999,
      "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz" }' > kv.tsv
}

# at_most LIMIT RUNS A... -- B...: the ratio, tried three times: noise only
# ever adds.
at_most() {
  local limit=$1 out
  shift
  for _ in 1 2 3; do
    out=$("$SPAWN" "$@") || return
    echo "ratio ${out%% *} (limit $limit): $out"
    awk -v r="${out%% *}" -v l="$limit" 'BEGIN { exit r > l }' && return 0
  done
  return 1
}

@test "floors: one get costs at most 1.2 of /bin/true" {
  sanitized && skip "a sanitizer is not measured"
  lsm-put < "$BATS_FILE_TMPDIR/kv.tsv"
  lsm-flush
  lsm-compact
  key=$(sed -n "$((RECORDS / 2))p" "$BATS_FILE_TMPDIR/kv.tsv" | cut -f1)
  lsm-get -e "$key"
  at_most 1.2 200 lsm-get "$key" -- /bin/true
}

@test "floors: a get and a put beside 400,000 unflushed records cost 1.2 of beside ten" {
  sanitized && skip "a sanitizer is not measured"
  mawk 'BEGIN { srand(9); for (i = 0; i < 400000; i++)
    printf "%08.0f%08.0f\tvalue %d of some length\n", rand() * 99999999,
      i * 7919 % 99999989, i }' > in
  local d
  for d in many few; do
    lsm-init -d $d write_buffer=64M tree_buffer=256M
  done
  LSM_DIR=many lsm-put < in
  head -n 10 in | LSM_DIR=few lsm-put
  key=$(sed -n 5p in | cut -f1)
  [ "$(find many -name '*.sst' | wc -l)" -eq 0 ]
  [ "$(lsm-scan -d many --count)" -eq 400000 ]
  at_most 1.2 150 lsm-get -d many "$key" -- lsm-get -d few "$key"
  at_most 1.2 100 lsm-put -d many k v -- lsm-put -d few k v
}

@test "floors: one get has less than 4 MiB of private memory" {
  sanitized && skip "a sanitizer is not measured"
  lsm-put < "$BATS_FILE_TMPDIR/kv.tsv"
  lsm-flush
  key=$(sed -n 7p "$BATS_FILE_TMPDIR/kv.tsv" | cut -f1)
  ( ulimit -d 4096; lsm-get "$key" > out )
  [ -s out ]
  head -c 40000000 /dev/urandom | lsm-put large -
  ( ulimit -d 4096; lsm-get large | cksum > a )
  lsm-flush
  ( ulimit -d 4096; lsm-get large | cksum > b )
  cmp a b
}

@test "floors: streams, flush and compaction keep to their memory" {
  sanitized && skip "a sanitizer is not measured"
  lsm-init load_memory=64M cache_bytes=8M write_buffer=16M
  ( ulimit -d $((128 * 1024))
    lsm-put < "$BATS_FILE_TMPDIR/kv.tsv"
    lsm-flush
    lsm-compact
    lsm-compact --all )
  ( ulimit -d $((72 * 1024))
    lsm-scan | cmp - <(sort "$BATS_FILE_TMPDIR/kv.tsv")
    cut -f1 "$BATS_FILE_TMPDIR/kv.tsv" | lsm-get -f tsv |
      cmp - "$BATS_FILE_TMPDIR/kv.tsv" )
}

# Twenty flushes of a hundredth of the store, all over its keys: each fills
# level 0 and makes a round due.
@test "floors: a round after one flush writes under a fifth of a leveled store" {
  local before wrote size i all=0
  lsm-init maintenance=cron level0_runs=1
  lsm-put < "$BATS_FILE_TMPDIR/kv.tsv"
  lsm-flush
  lsm-compact
  run -1 lsm-compact --is-needed
  written() { jq '[.compacted_bytes[]] | add // 0' data/MANIFEST.json; }
  for i in {1..20}; do
    mawk -v n=$((RECORDS / 100)) -v i="$i" 'BEGIN { srand(i)
      for (j = 0; j < n; j++)
        printf "%08.0f%08.0f\tflush %d, record %d, %050d\n",
          rand() * 99999999, j, i, j, j }' | lsm-put
    lsm-flush
    lsm-compact --is-needed
    before=$(written)
    lsm-compact
    wrote=$(($(written) - before))
    size=$(cat data/*.sst | wc -c)
    echo "round $i wrote $wrote of $size"
    all=$((all + wrote))
    [ $((wrote * 5)) -lt "$size" ]
  done
  # Some find nothing to merge with, and move down; all in all they were merged.
  [ "$all" -gt $((size / 20)) ]
}

@test "floors: loading takes at most half of ldb load's time" {
  sanitized && skip "a sanitizer is not measured"
  if ! command -v ldb > /dev/null; then
    [ -z "${FULL:-}" ] # the full run has it
    skip "needs ldb (rocksdb-tools)"
  fi
  local t0 t1 t2
  sed 's/\t/ ==> /' "$BATS_FILE_TMPDIR/kv.tsv" > ldb.txt
  for _ in 1 2 3; do
    rm -rf data rocks
    t0=$(date +%s%N)
    lsm-put < "$BATS_FILE_TMPDIR/kv.tsv"
    t1=$(date +%s%N)
    ldb --db=rocks --create_if_missing load < ldb.txt > /dev/null
    t2=$(date +%s%N)
    echo "ratio to ldb load: $(((t1 - t0) * 1000 / (t2 - t1))) per mille"
    [ $(((t1 - t0) * 2)) -gt $((t2 - t1)) ] || return 0
  done
  return 1
}
