#!/bin/bash
# demo.sh - the main job on real input: this machine's own package database.
#
# Every command is shown as a user would type it, then run.  The store lives
# in a temporary directory, which is removed at the end.  What comes out is
# compared byte for byte with what standard tools make of the same input; the
# last line says that all was well, or the exit status is not 0.
#
# shellcheck disable=SC2016  # commands are shown first, expanded later
set -eu -o pipefail
cd "$(dirname "$0")/.."
PATH=${LSM_BIN:+$LSM_BIN:}$PATH:$PWD/build/bin
export LC_ALL=C
unset LSM_DIR
TIMEFORMAT='(%R s)'
start=$SECONDS
checks=0

fail() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

for tool in lsm-put lsm-get lsm-del lsm-scan lsm-flush lsm-compact lsm-dump \
	lsm-verify lsm-init; do
	command -v $tool >/dev/null || fail "$tool is not built: make"
done
command -v jq >/dev/null || fail "jq is not installed: make deps"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

note() {
	printf '\n# %s\n' "$*"
}

# Show a command, run it.  A reader such as head may leave early (141).
run() {
	local status=0
	printf '$ %s\n' "$1"
	(eval "$1") 2>&1 || status=$?
	[ $status -eq 0 ] || [ $status -eq 141 ] ||
		fail "status $status from: $1"
}

# The same for a question whose honest answer is no.
run_no() {
	local status=0
	printf '$ %s\n' "$1"
	(eval "$1") 2>&1 || status=$?
	echo "(status $status)"
	[ $status -eq 1 ] || fail "status $status, not 1, from: $1"
}

# Show nothing; a claim that must hold.
check() {
	(eval "$1") >/dev/null || fail "not so: $1"
	checks=$((checks + 1))
}

# The whole store against what it should be.
check_scan() {
	lsm-scan -d "$1" | cmp - want.tsv || fail "$1 is not what was put in"
	checks=$((checks + 1))
}

note "This machine's packages: a name and a record of many lines each."
apt-cache dumpavail >packages 2>/dev/null || true
if [ ! -s packages ]; then
	cp /var/lib/dpkg/status packages
fi
run "grep -c ^Package: packages"
run "ls -sh packages | cut -d' ' -f1"

note "To tsv: key TAB value, a record a line; newlines, TABs and backslashes" \
	"escaped."
cat >to-tsv <<'AWK'
/^Package: / { name = $2 }
$0 != "" { value = value $0 "\\n" }
$0 == "" && value != "" { print name "\t" value; value = "" }
END { if (value != "") print name "\t" value }
AWK
run "sed 's/\\\\/\\\\\\\\/g; s/\\t/\\\\t/g; s/\\r/\\\\r/g' packages | awk -f to-tsv > packages.tsv"

# What the store must hold: of several records on one name the last one.
by_name() {
	sort -t "$(printf '\t')" -k1,1 "$@"
}
tac packages.tsv | by_name -u >want.tsv

note "Load them.  A write buffer of 8M, so that there will be tables to merge."
run "lsm-init write_buffer=8M"
run "time lsm-put < packages.tsv"
check_scan data
run "ls -s data"

note "Look things up."
run "lsm-get bash | head -3"
check '[ "$(lsm-get bash | sed -n 1p)" = "Package: bash" ]'
run "lsm-scan --count"
check '[ "$(lsm-scan --count)" -eq "$(wc -l < want.tsv)" ]'
run "lsm-scan --prefix libc --keys-only --limit 5"
run "lsm-get -f jsonl bash | jq -r .value | grep ^Maintainer:"
run_no "lsm-get no-such-package"

note "Update one record, delete one and a range: every process sees it at once."
run "lsm-get bash | sed 's/^Priority: .*/Priority: mine/' | lsm-put bash -"
run "lsm-get bash | grep ^Priority:"
run "lsm-del sed"
run_no "lsm-get -e sed"
run "lsm-del -n --prefix lib --to libb | wc -l"
run "lsm-del --prefix lib --to libb"
run "lsm-scan --prefix lib --keys-only --limit 1"
awk -F '\t' '
	$1 == "bash" { sub(/\\nPriority: [^\\]*/, "\\nPriority: mine") }
	$1 != "sed" && !($1 >= "lib" && $1 < "libb")' want.tsv >want.new
mv want.new want.tsv
check_scan data

note "Eight writers at once, every one of 64 puts durable by itself."
run "time seq 64 | xargs -P 8 -I{} lsm-put counter:{} {}"
run "lsm-scan --prefix counter: --count"
check '[ "$(lsm-scan --prefix counter: | sort -n -k2 | tail -1)" = "$(printf "counter:64\t64")" ]'
run "lsm-scan --prefix counter: --keys-only | lsm-del"
check_scan data

note "Bring the log into a table, then merge all: the leveled strategy."
run "lsm-flush"
run_no "lsm-flush --is-needed"
note "How many tables has each run of each level?"
run "lsm-dump | jq -c '[.levels[] | map(length)]'"
run "time lsm-compact --all -v"
run "lsm-dump | jq -c '[.levels[] | map(length)]'"
check '[ "$(lsm-dump | jq "[.levels[][]] | length")" -eq 1 ]'
run "lsm-dump | jq '[.levels[][][].bytes] | add'"
check_scan data

note "The same records, shuffled, in a second store: the tiered strategy."
run "lsm-init -d tiered --strategy tiered write_buffer=4M"
run "lsm-scan | shuf | lsm-put -d tiered"
run "lsm-flush -d tiered"
run "lsm-dump -d tiered | jq -c '[.levels[] | map(length)]'"
run "time lsm-compact -d tiered -v"
run "lsm-dump -d tiered | jq -c '[.levels[] | map(length)]'"
check_scan tiered

note "A third one from the dump of the first, which must arrive whole."
run "lsm-dump --records -f jsonl | lsm-put -d copy -f jsonl"
check_scan copy

note "Every checksum and every invariant of all three."
run "lsm-verify && lsm-verify -d tiered && lsm-verify -d copy && echo all sound"

note "In pipes with what was there before: names in the store of which there" \
	"is also a -doc."
run "lsm-scan --keys-only | grep -- -doc$ | sed 's/-doc$//' | sort | comm -12 - <(lsm-scan --keys-only) | wc -l"

records=$(lsm-scan --count)
[ "$records" -gt 0 ] || fail "the store is empty"
printf '\ndemo: ok: %s records went in, and came out byte for byte; %s checks; %s s\n' \
	"$records" $checks $((SECONDS - start))
