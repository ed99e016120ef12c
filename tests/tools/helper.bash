# helper.bash - what the tools' tests share.
#
# The tools are those of $LSM_BIN, else build/bin.  Every test runs in its own
# $BATS_TEST_TMPDIR, where $LSM_DIR points.

# shellcheck disable=SC2154  # bats sets stderr and stderr_lines

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
PATH=${LSM_BIN:-$ROOT/build/bin}:$PATH

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  export LSM_DIR=$BATS_TEST_TMPDIR/data
  export LC_ALL=C
}

teardown() {
  release_lock
}

# Hold byte N (0 is WRITE) of the store's LOCK exclusively, until release_lock.
hold_lock() {
  local held
  coproc HOLDER { exec python3 "$BATS_TEST_DIRNAME/hold.py" "$LSM_DIR/LOCK" \
    "${1:-0}" 3>&-; }
  HOLDER_IS=$HOLDER_PID
  read -r held <&"${HOLDER[0]}"
  [ "$held" = held ]
}

release_lock() {
  if [ -n "${HOLDER_IS:-}" ]; then
    kill "$HOLDER_IS" 2>/dev/null || true
    wait "$HOLDER_IS" 2>/dev/null || true
    HOLDER_IS=
  fi
}

# Try a command until it succeeds; fail after ten seconds.
eventually() {
  for _ in {1..500}; do
    "$@" && return 0
    sleep 0.02
  done
  return 1
}

# The files of the store, a name a line.
files() {
  ls -A "$LSM_DIR"
}

# $stderr is one line that starts with the tool's name.
one_message_of() {
  [ "${#stderr_lines[@]}" -eq 1 ] && [[ $stderr == "$1: "* ]]
}

# Records whose keys and values hold every byte but NUL, and NUL with $1 = nul.
odd_records() {
  python3 - "${1:-}" <<'PY'
import sys
esc = {9: '\\t', 10: '\\n', 13: '\\r', 0: '\\0', 92: '\\\\'}
out = bytearray()
for c in range(0 if sys.argv[1] == 'nul' else 1, 256):
    e = esc[c].encode() if c in esc else bytes([c])
    out += b'k' + e + b'\t' + e + b'v' + e + b'\n'
sys.stdout.buffer.write(out)
PY
}

sanitized() {
  grep -Eq '__(asan|tsan|msan)_init' "$(command -v lsm-put)"
}

# strace is the only way to see a sync; the leak checker cannot look at a
# process that is traced.
needs_strace() {
  command -v strace > /dev/null || skip "no strace"
  export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
}
