# rules.mk - the comparison: what it is built from, and its peers.
#
# Each library is a program of its own, drive-ENGINE; one whose headers are
# not there is not built, and its column stays empty.

BENCH_DEPS = rocksdb-tools librocksdb-dev libleveldb-dev liblmdb-dev \
             lmdb-utils libsqlite3-dev sqlite3 tkrzw-utils gdbmtool \
             libwiredtiger-dev wiredtiger tinycdb

BENCH := $(BUILD)/tests/bench
BENCH_HEADER_rocksdb = /usr/include/rocksdb/c.h
BENCH_HEADER_rocksdb-mmap = /usr/include/rocksdb/c.h
BENCH_HEADER_leveldb = /usr/include/leveldb/c.h
BENCH_HEADER_lmdb = /usr/include/lmdb.h
BENCH_HEADER_sqlite = /usr/include/sqlite3.h
BENCH_HEADER_wiredtiger = /usr/include/wiredtiger.h
BENCH_LIBS_ours = $(BUILD)/lib/libstore.a $(LDLIBS) -ldl
BENCH_LIBS_rocksdb = -lrocksdb
BENCH_LIBS_rocksdb-mmap = -lrocksdb
BENCH_LIBS_leveldb = -lleveldb
BENCH_LIBS_lmdb = -llmdb
BENCH_LIBS_sqlite = -lsqlite3
BENCH_LIBS_wiredtiger = -lwiredtiger
BENCH_ENGINES := ours $(foreach e,rocksdb rocksdb-mmap leveldb lmdb sqlite wiredtiger,\
                   $(if $(wildcard $(BENCH_HEADER_$e)),$e))
BENCH_DRIVES := $(BENCH_ENGINES:%=$(BENCH)/drive-%)
BENCH_SHARED := $(patsubst %,$O/tests/bench/%.o,drive rows usage workload)

$O/tests/bench/engine_ours.o: tests/bench/engine_store.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$O/tests/bench/engine_rocksdb-mmap.o: tests/bench/engine_rocksdb.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -DMMAP -MMD -MP -c -o $@ $<

$(BENCH)/drive-%: $O/tests/bench/engine_%.o $(BENCH_SHARED) \
		$(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(BENCH_SHARED) $(BENCH_LIBS_$*) -lm -lpthread

$(BENCH)/data: $O/tests/bench/data.o $O/tests/bench/workload.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ -lm

$(BENCH)/fill $(BENCH)/trace: $(BENCH)/%: $O/tests/bench/%.o \
		$O/tests/bench/stream.o $O/tests/bench/workload.o \
		$(BUILD)/lib/libstore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -ldl -lm -lpthread

# As /bin/true, but without what a shared C library costs; linked as the tools.
$(BENCH)/nothing: tests/bench/nothing.c
	@mkdir -p $(@D)
	$(Q)$(or $(MUSL),$(CC)) $(CPPFLAGS) $(filter-out $(SANITIZE),$(CFLAGS)) -static -o $@ $<

BENCH_TOOLS := $(BENCH_DRIVES) $(BENCH)/data $(BENCH)/nothing \
               $(BENCH)/append $(BENCH)/spawn $(BENCH)/fill $(BENCH)/trace

bench-tools: all $(BENCH_TOOLS)

deps-bench:
	@$(APT) $(BENCH_DEPS) python3 strace >/dev/null

# BENCH_ARGS: see tests/bench/bench.py --help
BENCH_RUN = $(MAKE) --no-print-directory deps-bench || \
	  echo "bench: without the peers that are not installed" >&2; \
	$(MAKE) --no-print-directory bench-tools && \
	BUILD=$(BUILD) python3 tests/bench/bench.py

bench:
	@$(BENCH_RUN) $(BENCH_ARGS)

bench-quick:
	@$(BENCH_RUN) --quick $(BENCH_ARGS)

# AMPLIFICATION_ARGS: see tests/bench/amplification.py --help
amplification:
	@$(MAKE) --no-print-directory deps-bench || \
	  echo "amplification: without RocksDB if it is not installed" >&2
	@$(MAKE) --no-print-directory bench-tools
	@BUILD=$(BUILD) python3 tests/bench/amplification.py $(AMPLIFICATION_ARGS)

# SCALE_ARGS: see tests/bench/scale.py --help
scale:
	@$(MAKE) --no-print-directory bench-tools
	@BUILD=$(BUILD) python3 tests/bench/scale.py $(SCALE_ARGS)

.PHONY: bench-tools deps-bench bench bench-quick amplification scale
