# formats.bash - what the tests of the format pages share: the store's records
# and the readers' output in one shape, `hexkey TAB hexvalue`, by key.

load ../tools/helper

READERS=$ROOT/tests/formats
PAGES=$ROOT/formats

# What the store says it holds.
scan_hex() {
  lsm-scan -f jsonl "$@" | python3 -c '
import base64, json, sys
def field(r, name):
    if name in r:
        return r[name].encode()
    return base64.b64decode(r[name + "_base64"])
for line in sys.stdin:
    r = json.loads(line)
    print(field(r, "key").hex(), field(r, "value").hex(), sep="\t")'
}

# Of the entries of a log, in its order, the newest of each key; no deletes.
newest() {
  tac | sort -t "$(printf '\t')" -k1,1 -s -u | grep -v "$(printf '\t')-$" ||
    true
}

wal() {
  python3 "$READERS/wal.py" "$@"
}

example() {
  python3 "$READERS/example.py" "$PAGES/$1" "${@:2}"
}

# Delete what can be rebuilt: the store is then as a crash leaves it.
forget() {
  rm -f "$1"/STATE "$1"/*.idx "$1"/*.ver
}
