#!/bin/bash
# lint.sh - what can be said of the source without running it.
#
# formatting; include arrows; each header alone; sizes; analyzers; scripts.
# Quiet when well, but for the last line.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
say() {
	printf '%s\n' "$*"
	bad=$((bad + 1))
}

mapfile -t sources < <(git ls-files '*.c' '*.h')
mapfile -t headers < <(git ls-files '*.h')
flags=(-std=c11 -I. -D_GNU_SOURCE -DPLUGIN_DIR='""' -DTOOL_DIR='""')

clang-format --dry-run -Werror "${sources[@]}" 2>&1 | grep -m5 error &&
	say "formatting: run make format"

# Who may include whom; everything else written with quotes is refused.
arrows() {
	case $1 in
	bin/lsm-dump.c | bin/lsm-verify.c | bin/lsm-stat.c | bin/lsm-sim.c)
		echo 'lib/store.h|lib/inspect.h|bin/.*|formats/(records|bytes|error).h' ;;
	bin/*) echo 'lib/store.h|bin/.*|formats/(records|bytes|error).h' ;;
	lib/*) echo 'lib/.*|formats/.*|plugins/strategy.h' ;;
	plugins/*) echo 'plugins/(strategy|planner).h' ;;
	formats/*) echo 'formats/.*' ;;
	tests/*) echo '.*' ;;
	esac
}
for f in "${sources[@]}"; do
	odd=$(sed -n 's/^#include "\(.*\)".*/\1/p' "$f" |
		grep -vxE "$(arrows "$f")")
	[ -z "$odd" ] || say "$f: may not include $odd"
done

# One room makes system calls, and confine.c those of a child.
calls='open|openat|read|write|pread|pwrite|fsync|fdatasync|rename|unlink|mmap'
calls+='|fcntl|ftruncate|stat|fstat|nanosleep|usleep|sleep|clock_gettime|time'
calls+='|gettimeofday|sched_yield|getpid|fork|kill|ioctl'
for f in $(git ls-files 'lib/*.c' 'formats/*.c' |
	grep -vE '^lib/(os|confine).c$'); do
	grep -nE "(^|[^.>_a-z])($calls)\(" "$f" |
		grep -vE '^[0-9]+:[[:space:]]*(\*|/\*|static|int )' &&
		say "$f: a system call outside lib/os.c"
done

for h in "${headers[@]}"; do
	gcc "${flags[@]}" -Wall -Wextra -fsyntax-only -x c "$h" ||
		say "$h: does not compile alone"
done

for f in "${sources[@]}"; do
	n=$(wc -l <"$f")
	[ "$n" -le 600 ] || say "$f: $n lines, over 600"
done
if command -v ctags >/dev/null; then
	ctags -x --_xformat='%{end} %n %N %F' --kinds-C=f "${sources[@]}" |
		awk '$1 - $2 > 100 { print $4 ": " $3 " has " $1 - $2 " lines, over 100"; n++ } END { exit n > 0 }' ||
		bad=$((bad + 1))
fi

for f in $(git ls-files 'lib/*.c' 'formats/*.c' 'bin/*.c' 'plugins/*.c'); do
	clang "${flags[@]}" -O1 -Wall -Wextra -Wshadow -Werror -fsyntax-only "$f" ||
		say "$f: clang"
done
cppcheck --quiet --std=c11 -I. --error-exitcode=1 --inline-suppr \
	--enable=warning,portability --suppress=missingIncludeSystem \
	--suppress=unknownMacro -D_GNU_SOURCE bin lib formats plugins ||
	say "cppcheck"

mapfile -t scripts < <(git ls-files '*.sh' '.ci/run')
shellcheck "${scripts[@]}" || say "shellcheck"
mapfile -t bats < <(git ls-files '*.bats' '*.bash')
[ ${#bats[@]} -eq 0 ] || shellcheck -s bash -S warning \
	-e SC2030,SC2031,SC2154,SC1091,SC2034,SC2164 "${bats[@]}" || say "shellcheck of bats files"

[ $bad -eq 0 ] && echo "lint: clean"
exit $((bad > 0))
