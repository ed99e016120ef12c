/*
 * trace.c - a stream as a trace of RocksDB's, which db_bench replays.
 *
 *	trace WORKLOAD RECORDS
 *	trace present|absent RECORDS LOOKUPS
 *
 * Writes to stdout what rocksdb/trace_replay/trace_replay.cc calls version
 * 0.2 of the format: records of time, type, length of what follows; all at
 * the same time, so that replaying waits for nothing.
 */
#include "tests/bench/stream.h"

#include <stdio.h>

#define TRACE_TIME 1000000 /* microseconds */

enum { TRACE_BEGIN = 1, TRACE_END = 2, TRACE_WRITE = 3, TRACE_GET = 4 };
enum { HAS_BATCH = 1 << 1, HAS_FAMILY_AND_KEY = 1 << 2 | 1 << 3 };
enum { BATCH_DELETE = 0, BATCH_PUT = 1 };

static void check(int r)
{
	if (r < 0) {
		fputs("trace: no memory\n", stderr);
		exit(71);
	}
}

static void put_counted(struct buf *b, const void *p, size_t len)
{
	check(buf_append_varint(b, len));
	check(buf_append(b, p, len));
}

static void print(int type, const struct buf *payload)
{
	uint8_t head[13];

	put_u64(head, TRACE_TIME);
	head[8] = (uint8_t)type;
	put_u32(head + 9, (uint32_t)payload->len);
	fwrite(head, 1, sizeof(head), stdout);
	fwrite(payload->data, 1, payload->len, stdout);
}

/* One batch; how many writes are in it. */
static uint32_t fill(struct stream *s, struct buf *ops)
{
	struct stream_op op;
	uint32_t n = 0;

	buf_clear(ops);
	while (n < STREAM_BATCH && stream_next(s, &op)) {
		check(buf_append_u8(ops,
				    op.deletes ? BATCH_DELETE : BATCH_PUT));
		put_counted(ops, op.key, sizeof(op.key));
		if (!op.deletes)
			put_counted(ops, op.value, sizeof(op.value));
		n++;
	}
	return n;
}

static void print_writes(struct stream *s)
{
	struct buf ops = BUF_INIT, payload = BUF_INIT;
	uint32_t n;

	while ((n = fill(s, &ops)) > 0) {
		buf_clear(&payload);
		check(buf_append_u64(&payload, HAS_BATCH));
		check(buf_append_varint(&payload, 12 + ops.len));
		check(buf_append_u64(&payload, 0)); /* sequence number */
		check(buf_append_u32(&payload, n));
		check(buf_append_slice(&payload, buf_slice(&ops)));
		print(TRACE_WRITE, &payload);
	}
	buf_free(&ops);
	buf_free(&payload);
}

static void print_lookups(uint64_t records, bool present, uint64_t n)
{
	struct buf payload = BUF_INIT;
	uint8_t key[STREAM_KEY];

	for (uint64_t i = 0; i < n; i++) {
		stream_lookup(records, present, i, key);
		buf_clear(&payload);
		check(buf_append_u64(&payload, HAS_FAMILY_AND_KEY));
		check(buf_append_u32(&payload, 0));
		put_counted(&payload, key, sizeof(key));
		print(TRACE_GET, &payload);
	}
	buf_free(&payload);
}

int main(int argc, char **argv)
{
	static const char magic[] = "feedcafedeadbeef\tTrace Version: 0.2\t"
				    "RocksDB Version: 7.8\t"
				    "Format: Timestamp OpType Payload\n";
	uint64_t records = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	struct buf text = BUF_INIT;
	struct stream s;

	if (records < 2 ||
	    !(argc == 4 || (argc == 3 && stream_init(&s, argv[1], records)))) {
		fputs("usage: trace WORKLOAD RECORDS\n"
		      "       trace present|absent RECORDS LOOKUPS\n",
		      stderr);
		return 64;
	}
	check(buf_append(&text, magic, sizeof(magic) - 1));
	print(TRACE_BEGIN, &text);
	if (argc == 3)
		print_writes(&s);
	else
		print_lookups(records, !strcmp(argv[1], "present"),
			      strtoull(argv[3], NULL, 10));
	buf_clear(&text);
	check(buf_append_u64(&text, 1));
	print(TRACE_END, &text);
	buf_free(&text);
	return fflush(stdout) || ferror(stdout) ? 74 : 0;
}
