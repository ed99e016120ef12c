# smoke.bats - the comparison runs, on a thousand records and without peers.

load ../tools/helper

BENCH=${BUILD:-$ROOT/build}/tests/bench

@test "smoke: every row of the comparison has a figure of ours" {
  sanitized && skip "a sanitizer is not measured"
  python3 "$ROOT/tests/bench/bench.py" --tiny --work "$PWD/work" \
    --out "$PWD" > table 2> log
  [ "$(jq '.rows | length' result.json)" -gt 90 ]
  jq -r '.rows[] | select(.contenders[.ours].median == null) |
    .group + " " + .row' result.json > empty
  cat empty
  [ ! -s empty ]
  # What must be true whatever the times are.
  jq -r '.rows[].verdicts[] | select(.limit == null and .met == false and
    (.bar | startswith("4 or more") | not)) | .bar' result.json > untrue
  cat untrue
  [ ! -s untrue ]
  grep -q '^| load TSV ' table
}

@test "smoke: records are distinct, half compressible, and read back" {
  "$BENCH/data" tsv 200000 > kv.tsv
  [ "$(wc -c < kv.tsv)" -eq $((200000 * 118)) ]
  [ "$(cut -f1 kv.tsv | sort -u | wc -l)" -eq 200000 ]
  run ! sort -c kv.tsv
  awk -F '\t' 'substr($2, 1, 50) != substr($2, 51) { exit 1 }' kv.tsv
  "$BENCH/data" present 200000 1000 | grep -vxFf <(cut -f1 kv.tsv) > absent ||
    true
  [ ! -s absent ]
  "$BENCH/data" absent 200000 1000 | cat - <(cut -f1 kv.tsv) | sort -u > all
  [ "$(wc -l < all)" -eq 201000 ]
  "$BENCH/data" zipf 200000 10000 | sort | uniq -c | sort -rn > counts
  [ "$(awk 'NR == 1 { print ($1 > 500) }' counts)" -eq 1 ]
}

@test "smoke: a library finds what it wrote, and nothing else" {
  mkdir db
  "$BENCH/drive-ours" build db records=20000 batch=1000 > /dev/null
  for row in readrandom readseq readreverse; do
    "$BENCH/drive-ours" $row db records=20000 > out
    [ "$(jq .found out)" -eq 20000 ]
  done
  "$BENCH/drive-ours" readmissing db records=20000 > out
  [ "$(jq .found out)" -eq 0 ]
  "$BENCH/drive-ours" seekrandom db records=20000 ops=100 > out
  [ "$(jq .found out)" -eq 100 ]
  "$BENCH/drive-ours" deleterandom db records=20000 > /dev/null
  "$BENCH/drive-ours" readseq db records=20000 > out
  [ "$(jq .found out)" -eq "$(lsm-scan -d db --count)" ]
  [ "$(jq .found out)" -lt 10000 ]
}

@test "smoke: a peer slower than it is known to be makes a run invalid" {
  PYTHONPATH=$ROOT/tests/bench python3 -B - <<'PY'
from types import SimpleNamespace
import norms
from measure import Row


def rows(sort, bulk):
    load = Row('programs', 'load TSV', 's')
    for name, took in (('ours', 1), ('sort', sort), ('ldb bulk', bulk)):
        load.add(name, took)
    return [load]


full = SimpleNamespace(records=norms.RECORDS)
assert norms.judge(rows(2.1, 10.6), full) == []
assert norms.judge(rows(2.1, 15.7), full) == []
assert len(norms.judge(rows(2.1, 16.2), full)) == 1
assert norms.judge(rows(4.2, 16.2), full) == []
assert norms.judge(rows(2.1, 16.2), SimpleNamespace(records=1000)) == []
PY
}

@test "smoke: a ratio is the median over rounds, and a bar is of the worst" {
  PYTHONPATH=$ROOT/tests/bench python3 -B - <<'PY'
from measure import Row
import table

row = Row('g', 'n', 's', bars=[('a|b', 0.8), ('best', 0.5), ('c', 1)])
for ours, a, b in ((1, 2, 4), (2, 2, 4), (9, 10, 20)):
    row.add('ours', ours)
    row.add('a', a)
    row.add('b', b)
assert row.ratio('a') == (0.9, 0.5, 1.0)
assert row.ratio('b') == (0.45, 0.25, 0.5)
assert row.verdicts() == [('a and b', 0.8, 0.9, False),
                          ('best peer', 0.5, 0.9, False),
                          ('c', 1, None, None)]
assert table.verdict(row)[1] == 'LOST'
rate = Row('g', 'n', 'a second', higher=True, bars=[('a', 1.0)])
rate.add('ours', 10)
rate.add('a', 5)
assert rate.verdicts() == [('a', 1.0, 0.5, True)]
PY
}

@test "smoke: the cost of more tables is measured" {
  sanitized && skip "a sanitizer is not measured"
  BUILD=${BENCH%/tests/bench} python3 "$ROOT/tests/bench/scale.py" --most 100 --runs 4 \
    --work "$PWD/work" > table
  [ "$(grep -c 'of /bin/true' table)" -eq 2 ]
  [ ! -e work ]
}
