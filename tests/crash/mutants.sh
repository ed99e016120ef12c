#!/bin/bash
# mutants.sh - a harness that misses a planted bug is no evidence.
#
# Each bug is planted by building with MUTANT=name (an #ifdef MUTANT_name in
# lib/); the harness named here must fail on it, and say why.  A bug that is
# planted and not named here, or the other way round, is a failure as well.
# Only what a bug changes is compiled again.  TAP on stdout.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
export BUILD
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
tools=(bin/lsm-init bin/lsm-put bin/lsm-get bin/lsm-scan bin/lsm-flush
	bin/lsm-compact)

# bug, then the harness that must catch it and its arguments
catchers='
unlink_before_rename   kill flush
publish_before_append  kill put
no_tail_repair         kill put-over-torn-tail
state_before_lock      pairs put/flush
failed_is_unnamed      faults flush/put
pins_ignored           pairs scan/compact
tenant_unseen          test_tenure
no_fdatasync           power -n 40 -r 0 -m 1
no_dir_fsync           power -n 40 -r 0 -m 1
'

base=/dev/shm
[ -w $base ] || base=${TMPDIR:-/tmp}
LSM_CRASH_TMP=$(mktemp -d "$base/lsm-mutants.XXXXXX") || exit 1
export LSM_CRASH_TMP
trap 'rm -rf "$LSM_CRASH_TMP"' EXIT

# build BUG TARGET...: into $BUILD/mutants/BUG, from the objects of $BUILD.
build() {
	local bug=$1 dir=$BUILD/mutants/$1 f
	shift
	rm -rf "$dir"
	mkdir -p "$dir"
	cp -a "$BUILD/obj" "$dir/obj"
	find "$dir/obj" '(' -name '*.pic.o' -o -name '*.a' ')' -delete
	grep -l "MUTANT_$bug\b" lib/*.c | while read -r f; do
		rm -f "$dir/obj/${f%.c}.o" "$dir/obj/musl/${f%.c}.o"
	done
	make -s V=1 BUILD="$dir" MUTANT="$bug" WERROR= "${@/#/$dir/}" \
		>"$dir/log" 2>&1 ||
		{ sed 's/^/# /' "$dir/log" && return 1; }
}

# Where a harness is built.
program() {
	case $1 in
	test_*) echo "tests/unit/$1" ;;
	*) echo "tests/crash/$1" ;;
	esac
}

# The harness passes when nothing is planted; asked once of each.
declare -A passed
passes() {
	local all="$*"
	[ -n "${passed[$all]:-}" ] && return
	"$BUILD/$(program "$1")" "${@:2}" >/dev/null 2>&1 && passed[$all]=1
}

# The harness passes without the bug, and fails on it, by its verdict.
caught() {
	local bug=$1 harness=$2 out=$LSM_CRASH_TMP/$1.out
	shift 2
	passes "$harness" "$@" || {
		echo "# $harness $* fails without $bug"
		return 1
	}
	case $harness in
	power | test_*) # it is the store itself
		build "$bug" "$(program "$harness")" || return
		"$BUILD/mutants/$bug/$(program "$harness")" "$@" >"$out" 2>&1
		;;
	*) # a sound oracle judges what mutated tools leave
		build "$bug" "${tools[@]}" || return
		LSM_BIN=$BUILD/mutants/$bug/bin \
			"$BUILD/$(program "$harness")" "$@" >"$out" 2>&1
		;;
	esac
	[ $? -eq 1 ] && grep -m1 '^# ' "$out" && grep -q '^not ok' "$out"
}

planted=$(grep -oh 'MUTANT_[a-z_]*' lib/*.c | sed 's/^MUTANT_//' | sort -u)
named=$(awk 'NF { print $1 }' <<<"$catchers" | sort -u)
if [ "$planted" = "$named" ]; then
	echo "ok - mutants: every planted bug has its catcher"
else
	echo "not ok - mutants: planted: ${planted//$'\n'/ }; named: ${named//$'\n'/ }"
fi

while read -r bug harness arguments; do
	[ -n "$bug" ] || continue
	# shellcheck disable=SC2086
	if caught "$bug" "$harness" $arguments; then
		echo "ok - mutants: $bug is caught by $harness"
	else
		echo "not ok - mutants: $bug is not caught by $harness $arguments"
	fi
	rm -rf "$BUILD/mutants/$bug"
done <<<"$catchers"
