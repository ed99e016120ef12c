# install.bats - what `make install` puts where, and that others can use it.

load helper

# Only what knows where tools and plugins lie is compiled again.
setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return
  local build=${BUILD:-build}
  if ! sanitized; then
    rm -rf "$build/install"
    mkdir "$build/install"
    cp -a "$build/obj" "$build/install/obj"
    grep -l 'PLUGIN_DIR\|TOOL_DIR' lib/*.c bin/*.c | while read -r f; do
      rm -f "$build/install/obj/${f%.c}".*
    done
  fi
  make -s install BUILD="$build" PREFIX="$BATS_FILE_TMPDIR/usr" > "$BATS_FILE_TMPDIR/log" 2>&1 ||
    { cat "$BATS_FILE_TMPDIR/log"; return 1; }
}

@test "install: tools, library, plugins, headers and pages are there" {
  local u=$BATS_FILE_TMPDIR/usr f
  for f in bin/lsm-put bin/lsm-get bin/lsm-compact lib/libstore.a \
    lib/libstore.so lib/pkgconfig/libstore.pc \
    lib/lsm/plugins/lsm-strategy-leveled.so include/libstore/store.h \
    include/libstore/strategy.h share/man/man1/lsm-put.1 \
    share/man/man7/lsm.7; do
    [ -e "$u/$f" ] || { echo "missing: $f"; false; }
  done
}

@test "install: installed tools find the installed plugins" {
  sanitized && skip "the installed build is not sanitized"
  local u=$BATS_FILE_TMPDIR/usr
  "$u/bin/lsm-put" a b
  "$u/bin/lsm-flush"
  "$u/bin/lsm-compact" --all
  [ "$("$u/bin/lsm-get" a)" = b ]
}

@test "install: with its plugins moved away lsm-compact ends 78, and the others go on" {
  local u=$BATS_FILE_TMPDIR/usr
  PATH=$u/bin:$PATH
  lsm-put a b
  lsm-flush
  lsm-put a c
  lsm-flush
  mv "$u/lib/lsm/plugins" "$BATS_FILE_TMPDIR/away"
  run -78 --separate-stderr lsm-compact
  one_message_of lsm-compact
  run -78 lsm-compact --is-needed
  lsm-put k v
  [ "$(lsm-get k)$(lsm-get a)" = vc ]
  lsm-flush
  lsm-del a
  [ "$(lsm-scan)" = $'k\tv' ]
  lsm-verify -q --strict
  mv "$BATS_FILE_TMPDIR/away" "$u/lib/lsm/plugins"
  lsm-compact --all
  [ "$(lsm-scan)" = $'k\tv' ]
}

@test "install: a program builds against the shared library from outside" {
  local u=$BATS_FILE_TMPDIR/usr
  cat > prog.c <<'C'
#include <store.h>
#include <stdio.h>
int main(void)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf v = BUF_INIT;
	struct store *db;
	struct store_config c = { .flags = STORE_WRITE | STORE_CREATE };

	if (store_open(&db, "out", &c, &err) < 0 ||
	    store_put(db, slice_str("k"), slice_str("v"), STORE_SYNC, &err) < 0 ||
	    store_get(db, slice_str("k"), &v, &err) != 1)
		return fprintf(stderr, "%s\n", err.text), 1;
	printf("%.*s\n", (int)v.len, (const char *)v.data);
	buf_free(&v);
	store_close(db);
	return 0;
}
C
  ! sanitized || skip "the installed build is not sanitized"
  gcc -std=c11 -I"$u/include/libstore" -o prog prog.c -L"$u/lib" -lstore
  run -0 env LD_LIBRARY_PATH="$u/lib" ./prog
  [ "$output" = v ]
}

@test "install: the shared library exports store.h and nothing else" {
  local u=$BATS_FILE_TMPDIR/usr
  nm -D --defined-only "$u/lib/libstore.so" | awk '{ print $3 }' | sort > exported
  grep -v typedef "$u/include/libstore/store.h" |
    grep -oE '^[a-z][a-z_0-9 ]* store_[a-z_]+\(' | sed 's/.* //; s/(//' |
    sort > declared
  diff declared exported
}

@test "install: only lsm-compact and lsm-sim know dlopen" {
  local f
  for f in "$BATS_FILE_TMPDIR"/usr/bin/lsm-*; do
    case $f in
    *lsm-compact | *lsm-sim) nm -D "$f" | grep -q dlopen ;;
    *)
      sanitized || run -1 sh -c "nm '$f' | grep -w 'T dlopen\|U dlopen'"
      ;;
    esac
  done
}

@test "install: the strategy of lsm-strategies(7) builds against the installed header, and works" {
  sanitized && skip "the installed build is not sanitized"
  local u=$BATS_FILE_TMPDIR/usr i
  mkdir mine
  awk '/^#include <strategy.h>/ { on = 1 } /^\.Ed/ { on = 0 } on' \
    "$u/share/man/man7/lsm-strategies.7" > mine/small.c
  grep -c . mine/small.c
  [ "$(grep -c . mine/small.c)" -ge 50 ]
  # Nothing but what was installed: no file of the sources is in reach.
  ( cd mine && gcc -std=c11 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden \
      -I"$u/include/libstore" -o lsm-strategy-small.so small.c )
  chmod -R go-w mine
  PATH=$u/bin:$PATH
  export LSM_PLUGINS=$PWD/mine
  lsm-init maintenance=cron
  for i in 1 2 3; do
    lsm-put "k$i" v
    lsm-flush
  done
  run -78 lsm-config --strategy small small=5000
  [[ $output == *"no multiple of 4096"* ]]
  lsm-config --strategy small small=64K runs=9
  lsm-compact --is-needed
  lsm-compact
  [ "$(lsm-dump | jq -c '.levels | map(length)')" = '[1]' ]
  run -1 lsm-compact --is-needed
  [ "$(lsm-scan --count)" -eq 3 ]
}
