# make            build/bin, build/lib, build/plugins
# make deps       install what building and testing need (Debian, root)
# make demo       the main job on this machine's own package database
# make check      all tests that fit in ten minutes
# make check-full the same with the long runs, then asan and tsan
# make asan tsan  the tests under sanitizers; those of threads
# make bench      beside the peers, of make deps-bench; bench-quick is short
# make amplification   what each strategy writes, beside RocksDB
# make scale      what commands cost with up to 100,000 tables
# make lint       formatting, include arrows, lone headers, analyzers
# make install    to PREFIX
#
# STATIC=0 links the tools dynamically, MUSL= statically with glibc;
# MUTANT=name plants a bug that the crash tests must catch; CC=clang works as
# well.

CC = gcc
V = 0
STATIC = 1
PREFIX = /usr/local
BUILD = build
PLUGINDIR = $(abspath $(BUILD)/plugins)
OPT = -O2 -g
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
       -Wpointer-arith -Wwrite-strings -Wundef -Wvla
WERROR = -Werror
HARDEN = -D_FORTIFY_SOURCE=2 -fstack-protector-strong
SANITIZE =
CFLAGS = -std=c11 $(OPT) $(WARN) $(WERROR) $(HARDEN) $(SANITIZE)
CPPFLAGS = -I. -D_GNU_SOURCE -DPLUGIN_DIR='"$(PLUGINDIR)"' \
           -DTOOL_DIR='"$(TOOLDIR)"'
TOOLDIR = $(abspath $(BUILD)/bin)
LDLIBS = -ljansson -lxxhash -llz4 -lzstd -lpthread -lm
ifneq ($(MUTANT),)
CPPFLAGS += -DMUTANT_$(MUTANT)
endif
# A tool is started for one record: what it does not need is left out, and
# what it does lies in as few pages and maps as can be.  musl, where it is
# installed, starts a process in a third of the time that glibc takes
# (bin/memory.c); MUSL= does without.
ifeq ($(STATIC),1)
LDSTATIC = -static -Wl,--gc-sections,-z,noseparate-code
MUSL = $(if $(SANITIZE),,$(shell command -v musl-gcc))
endif

ifeq ($(V),0)
Q = @echo "  $(notdir $@)";
endif

O = $(BUILD)/obj
LIBSRC := $(wildcard formats/*.c lib/*.c)
TOOLSRC := $(wildcard bin/lsm-*.c)
SHAREDSRC := $(filter-out $(TOOLSRC),$(wildcard bin/*.c))
PLUGINSRC := $(filter-out %/strategy.c,$(wildcard plugins/*.c))
LIBOBJ := $(LIBSRC:%.c=$O/%.o)
PICOBJ := $(LIBSRC:%.c=$O/%.pic.o)
SHAREDOBJ := $(SHAREDSRC:%.c=$O/%.o)
TOOLS := $(TOOLSRC:bin/%.c=$(BUILD)/bin/%)
PLUGINS := $(PLUGINSRC:plugins/%.c=$(BUILD)/plugins/lsm-strategy-%.so)
UNITSRC := $(wildcard tests/unit/test_*.c)
UNITS := $(UNITSRC:tests/unit/%.c=$(BUILD)/tests/unit/%)

all: $(TOOLS) $(PLUGINS) $(BUILD)/lib/libstore.a $(BUILD)/lib/libstore.so

$O/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fvisibility=hidden -MMD -MP -c -o $@ $<

$O/%.pic.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

$(BUILD)/lib/libstore.a: $(LIBOBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/lib/libstore.so: $(PICOBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-soname,libstore.so.0 -Wl,-z,relro,-z,now -o $@ $^ $(LDLIBS)

# These two load strategies.
LOADERS = $(BUILD)/bin/lsm-compact $(BUILD)/bin/lsm-sim
$(LOADERS): LDSTATIC =
$(LOADERS): LDLIBS += -ldl
$(if $(MUSL),$(LOADERS),$(TOOLS)): $(BUILD)/bin/%: $O/bin/%.o $(SHAREDOBJ) $(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDSTATIC) -o $@ $^ $(LDLIBS)

# The others with musl: its headers, and those of the libraries and of Linux,
# which are nobody's; threads get as much stack as glibc gives them.
ifneq ($(MUSL),)
M = $(BUILD)/obj/musl
MUSLFLAGS = -isystem $M/include -ffunction-sections -fdata-sections
MUSLOBJ := $(LIBSRC:%.c=$M/%.o) $(SHAREDSRC:%.c=$M/%.o)
MUSLLIBS := $(foreach l,jansson xxhash lz4 zstd,$(shell $(CC) -print-file-name=lib$l.a))

$M/include:
	@mkdir -p $@
	@for h in jansson.h jansson_config.h xxhash.h lz4.h zstd.h zstd_errors.h linux asm-generic asm; do \
	  for d in /usr/include /usr/include/$$($(CC) -print-multiarch); do \
	    [ ! -e $$d/$$h ] || ln -sfn $$d/$$h $@/$$h; done; done

$M/%.o: %.c | $M/include
	@mkdir -p $(@D)
	$(Q)$(MUSL) $(CPPFLAGS) $(MUSLFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Copies that are made of copies.
$M/bin/memory.o: MUSLFLAGS += -ffreestanding -fno-tree-loop-distribute-patterns

$M/libtools.a: $(MUSLOBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(filter-out $(LOADERS),$(TOOLS)): $(BUILD)/bin/%: $M/bin/%.o $M/libtools.a
	@mkdir -p $(@D)
	$(Q)$(MUSL) $(CFLAGS) $(LDSTATIC),-z,stack-size=0x800000 -o $@ $^ $(MUSLLIBS)
endif

$(BUILD)/plugins/lsm-strategy-%.so: plugins/%.c plugins/planner.h plugins/strategy.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ $<
	@chmod go-w $(@D) $@

# Strategies that do what none may.
BADPLUGINS := $(patsubst tests/plugins/%.c,$(BUILD)/tests/plugins/lsm-strategy-%.so,$(wildcard tests/plugins/*.c))
$(BUILD)/tests/plugins/lsm-strategy-%.so: tests/plugins/%.c tests/plugins/bad.h plugins/strategy.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared $(LDSTAY) -o $@ $<
	@chmod go-w $(@D) $@

# These stay loaded when they are closed.
$(BUILD)/tests/plugins/lsm-strategy-staying.so $(BUILD)/tests/plugins/lsm-strategy-lasting.so: \
  LDSTAY = -Wl,-z,nodelete

# What tools say is in none of the libraries.
$(BUILD)/tests/unit/test_message: $O/bin/message.o
$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(filter %.o,$^) $(BUILD)/lib/libstore.a $(LDLIBS) -ldl

units: $(UNITS) $(PLUGINS) $(BADPLUGINS)

$(BUILD)/tests/tools/%: tests/tools/%.c $(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(BUILD)/lib/libstore.a $(LDLIBS)

$(BUILD)/tests/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $<

-include tests/crash/rules.mk
include tests/bench/rules.mk

tests: all units $(HARNESS) bench-tools $(BUILD)/tests/tools/queue

# ---- what a person types ----

SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT = DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq
BUILD_DEPS = gcc libc6-dev musl-tools binutils libjansson-dev libxxhash-dev liblz4-dev \
             libzstd-dev jq gawk
TEST_DEPS = bats python3 strace xxhash xfsprogs e2fsprogs util-linux mandoc \
            procps bsdextrautils rocksdb-tools
LINT_DEPS = clang clang-format clang-tidy cppcheck shellcheck

deps:
	@$(APT) $(BUILD_DEPS) $(TEST_DEPS) >/dev/null

deps-lint:
	@$(APT) $(LINT_DEPS) libclang-rt-14-dev >/dev/null

demo: all
	@PATH="$(TOOLDIR):$$PATH" tests/demo.sh

check: tests
	@BUILD=$(BUILD) tests/run.sh

check-full: tests
	@BUILD=$(BUILD) FULL=1 tests/run.sh
	@$(MAKE) --no-print-directory asan tsan

lint:
	@tests/lint.sh

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan STATIC=0 OPT='-O1 -g' \
	  HARDEN= SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' \
	  SANITIZED=1 check

TSAN_UNITS = $(addprefix $(BUILD)/tsan/tests/unit/,test_threads test_queue test_cut \
  test_flusher test_table test_build test_guide test_tenure test_tree)
tsan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan STATIC=0 OPT='-O1 -g' \
	  HARDEN= SANITIZE='-fsanitize=thread -Wno-tsan' \
	  $(BUILD)/tsan/plugins/lsm-strategy-leveled.so $(TSAN_UNITS)
	@set -e; for t in $(TSAN_UNITS); do $$t; done

DEST = $(DESTDIR)$(PREFIX)
install:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/install \
	  PLUGINDIR=$(PREFIX)/lib/lsm/plugins TOOLDIR=$(PREFIX)/bin all
	install -d $(DEST)/bin $(DEST)/lib/pkgconfig $(DEST)/lib/lsm/plugins \
	  $(DEST)/include/libstore $(DEST)/share/man/man1 \
	  $(DEST)/share/man/man3 $(DEST)/share/man/man5 $(DEST)/share/man/man7
	install $(BUILD)/install/bin/* $(DEST)/bin
	install -m 644 $(BUILD)/install/lib/libstore.a $(DEST)/lib
	install $(BUILD)/install/lib/libstore.so $(DEST)/lib/libstore.so.0
	ln -sf libstore.so.0 $(DEST)/lib/libstore.so
	install -m 644 $(BUILD)/install/plugins/* $(DEST)/lib/lsm/plugins
	for h in lib/store.h formats/bytes.h formats/error.h plugins/strategy.h; do \
	  sed 's|"formats/|"|' $$h > $(DEST)/include/libstore/$${h##*/}; done
	printf 'Name: libstore\nDescription: LSM-tree key-value store\nVersion: 0.1.0\nCflags: -I%s/include/libstore\nLibs: -L%s/lib -lstore\n' \
	  $(PREFIX) $(PREFIX) > $(DEST)/lib/pkgconfig/libstore.pc
	install -m 644 bin/*.1 $(DEST)/share/man/man1
	install -m 644 lib/*.3 $(DEST)/share/man/man3
	install -m 644 formats/*.5 $(DEST)/share/man/man5
	install -m 644 bin/*.7 plugins/*.7 $(DEST)/share/man/man7

clean:
	rm -rf $(BUILD)

.PHONY: all units tests deps deps-lint demo check check-full lint format asan \
	tsan install clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
