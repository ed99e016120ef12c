# floors.bats - what must never get slower or larger than this.
#
# Ratios of two commands measured in turn in one run, never absolute times.
# 200,000 records; with FULL=1 2,000,000 and the load beside RocksDB's.

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

@test "floors: a get and a put beside many unflushed records cost 1.2 of beside ten" {
  sanitized && skip "a sanitizer is not measured"
  local n=$((RECORDS < 400000 ? RECORDS : 400000)) key
  head -n $n "$BATS_FILE_TMPDIR/kv.tsv" | LSM_DIR=many lsm-put
  head -n 10 "$BATS_FILE_TMPDIR/kv.tsv" | LSM_DIR=few lsm-put
  key=$(sed -n 5p "$BATS_FILE_TMPDIR/kv.tsv" | cut -f1)
  [ "$(find many -name '*.sst' | wc -l)" -eq 0 ]
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

@test "floors: a round after one flush writes under a fifth of a leveled store" {
  local before after
  lsm-init write_buffer=2M table_bytes=2M level0_bytes=8M level0_runs=4
  lsm-put < "$BATS_FILE_TMPDIR/kv.tsv"
  lsm-flush
  lsm-compact
  written() { jq '[.compacted_bytes[]] | add // 0' data/MANIFEST.json; }
  size=$(cat data/*.sst | wc -c)
  before=$(written)
  seq 1 2000 | sed 's/$/\tv/' | lsm-put
  lsm-flush
  lsm-compact
  after=$(written)
  echo "wrote $((after - before)) of $size"
  [ $(((after - before) * 5)) -lt "$size" ]
}

@test "floors: loading takes at most half of ldb load's time" {
  [ -n "${FULL:-}" ] || { [ "$RECORDS" -lt 2000000 ] && return 0; }
  command -v ldb > /dev/null || skip "needs ldb (rocksdb-tools)"
  local t0 t1 t2
  sed 's/\t/ ==> /' "$BATS_FILE_TMPDIR/kv.tsv" > ldb.txt
  t0=$(date +%s%N)
  lsm-put < "$BATS_FILE_TMPDIR/kv.tsv"
  t1=$(date +%s%N)
  ldb --db=rocks --create_if_missing load < ldb.txt > /dev/null
  t2=$(date +%s%N)
  echo "ratio to ldb load: $(((t1 - t0) * 1000 / (t2 - t1))) per mille"
  [ $(((t1 - t0) * 2)) -lt $((t2 - t1)) ]
}
