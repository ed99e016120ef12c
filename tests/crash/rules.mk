# rules.mk - how the crash harnesses are built.
#
# kill, pairs and faults share the rooms of tests/crash; power and flip stand alone.

CRASH_SHARED := trace place model scene setup stage oracle
CRASH_PAIR := $(BUILD)/tests/crash/kill $(BUILD)/tests/crash/pairs $(BUILD)/tests/crash/faults
CRASH_ALONE := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/crash/power.c))
CRASH_POWER := $(patsubst %.c,$O/%.o,$(wildcard tests/crash/power_*.c))
HARNESS += $(CRASH_PAIR) $(CRASH_ALONE)

$(CRASH_PAIR): $(BUILD)/tests/crash/%: $O/tests/crash/%.o \
		$(CRASH_SHARED:%=$O/tests/crash/%.o) $(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -ldl

$(CRASH_ALONE): $(BUILD)/tests/crash/%: $O/tests/crash/%.o \
		$(CRASH_POWER) $(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -ldl

HARNESS += $(BUILD)/tests/crash/flip
$(BUILD)/tests/crash/flip: $O/tests/crash/flip.o $O/tests/crash/flip_store.o \
		$(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -ldl
