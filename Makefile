# make            build/bin, build/lib, build/plugins
# make deps       install what building and testing need (Debian, root)
# make demo       the main job on this machine's own package database
# make check      all tests that fit in ten minutes; check-full adds the long
# make lint       formatting, include arrows, lone headers, analyzers
# make asan tsan  the tests under sanitizers
# make install    to PREFIX
#
# STATIC=0 links the tools dynamically; MUTANT=name plants a bug that the
# crash tests must catch; CC=clang works as well.

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
LDLIBS = -ljansson -lxxhash -llz4 -lzstd -lpthread
ifneq ($(MUTANT),)
CPPFLAGS += -DMUTANT_$(MUTANT)
endif
ifeq ($(STATIC),1)
LDSTATIC = -static
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

$(BUILD)/bin/lsm-compact: LDSTATIC =
$(BUILD)/bin/lsm-compact: LDLIBS += -ldl
$(BUILD)/bin/%: $O/bin/%.o $(SHAREDOBJ) $(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDSTATIC) -o $@ $^ $(LDLIBS)

$(BUILD)/plugins/lsm-strategy-%.so: plugins/%.c plugins/strategy.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(BUILD)/lib/libstore.a $(LDLIBS) -ldl

units: $(UNITS)

clean:
	rm -rf $(BUILD)

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

.PHONY: all units clean format
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
