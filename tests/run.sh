#!/bin/bash
# run.sh - run the tests of $BUILD and count them.
#
# Every test speaks TAP: the unit programs, the bats files, the crash
# harnesses.  Two run at a time; those that measure time run alone, last.
# With FULL=1 the long runs are on; under sanitizers, SANITIZED=1, nothing is
# timed.  With CI=true, which stands for a machine that does nothing else, a
# skipped test is a failure, and so are more than $LIMIT seconds for all of
# it.  The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=$(realpath "${BUILD:-build}")
export BUILD LSM_BIN="$BUILD/bin" PATH="$BUILD/bin:$PATH" FULL="${FULL:-}"
LIMIT=1150
log=$BUILD/tests/log
start=$SECONDS
rm -rf "$log"
mkdir -p "$log"

# One test file: its TAP into the log, under a name of its own.
run_one() {
	local f=$1 name began=$SECONDS
	name=$(basename "$f")
	case $f in
	*.bats) bats --tap "$f" ;;
	*) "$f" ;;
	esac >"$log/$name.tap" 2>&1 </dev/null
	local status=$?
	if [ $status -ne 0 ] && ! grep -q '^not ok' "$log/$name.tap"; then
		echo "not ok - $name ended with status $status" >>"$log/$name.tap"
	fi
	if grep -q '^not ok' "$log/$name.tap"; then
		echo "FAILED $name"
		grep -A12 '^not ok' "$log/$name.tap" | head -60
	else
		echo "ok     $name ($(grep -c '^ok' "$log/$name.tap"), $((SECONDS - began)) s)"
	fi
}
export -f run_one
export log

if [ $# -gt 0 ]; then
	together=("$@")
	alone=()
else
	# The longest first: it runs beside all the others.
	model=$BUILD/tests/unit/test_model
	together=("$model" tests/crash/*.sh "$BUILD"/tests/unit/test_* tests/*/*.bats)
	alone=()
	for i in "${!together[@]}"; do
		case ${together[i]} in
		*.d | *'*'*) unset "together[i]" ;;
		"$model") [ "$i" -eq 0 ] || unset "together[i]" ;;
		tests/bench/*) # these measure time
			alone+=("${together[i]}")
			unset "together[i]"
			;;
		esac
	done
fi
printf '%s\n' "${together[@]}" | xargs -P2 -I{} bash -c 'run_one {}'
for f in ${alone[@]+"${alone[@]}"}; do
	[ -n "${SANITIZED:-}" ] || run_one "$f"
done

cat "$log"/*.tap >"$log/all"
skipped=$(grep -ciE '^ok .*# skip' "$log/all")
passed=$(($(grep -c '^ok' "$log/all") - skipped))
failed=$(grep -c '^not ok' "$log/all")
grep -iE '^ok .*# skip' "$log/all" | sed 's/^/skipped: /'
took=$((SECONDS - start))
echo "took $took s"
if [ "${CI:-}" = true ] && [ -z "${SANITIZED:-}" ]; then
	failed=$((failed + skipped))
	if [ -z "$FULL" ] && [ $took -gt $LIMIT ]; then
		echo "FAILED to end within $LIMIT s"
		failed=$((failed + 1))
	fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
