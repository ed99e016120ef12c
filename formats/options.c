#include "formats/options.h"

#include <inttypes.h>

#define KIB(n) (UINT64_C(n) << 10)
#define MIB(n) (UINT64_C(n) << 20)
#define GIB(n) (UINT64_C(n) << 30)

/* In the order of enum codec and enum maintenance. */
static const char *const codec_words[] = { "none", "lz4", "zstd", NULL };
static const char *const maintenance_words[] = { "auto", "cron", NULL };

#define FIELD(f) #f, .offset = offsetof(struct options, f)
#define BYTES(f, lo, hi, d, h)                                                 \
	{                                                                      \
		.name = FIELD(f), .type = OPTION_BYTES, .min = (lo),           \
		.max = (hi), .def = (d), .help = (h)                           \
	}
#define COUNT(f, lo, hi, d, h)                                                 \
	{                                                                      \
		.name = FIELD(f), .type = OPTION_COUNT, .min = (lo),           \
		.max = (hi), .def = (d), .help = (h)                           \
	}
#define WORD(f, w, d, h)                                                       \
	{                                                                      \
		.name = FIELD(f), .type = OPTION_WORD, .words = (w),           \
		.max = sizeof(w) / sizeof((w)[0]) - 2, .def = (d), .help = (h) \
	}

/*
 * The lower bounds are small so that a test can drive a store through every
 * rotation, flush and merge with a few kilobytes.
 */
const struct option_spec option_specs[] = {
	BYTES(write_buffer, KIB(4), GIB(1), MIB(64),
	      "size of the log at which it is rotated"),
	BYTES(tree_buffer, KIB(4), GIB(16), MIB(24),
	      "size of the log's tree at which both are rotated"),
	COUNT(sealed_logs, 1, 64, 4,
	      "sealed logs at which writers flush before they go on"),
	COUNT(level0_runs, 1, 1000, 4,
	      "runs in level 0 from which compaction is due"),
	BYTES(level0_bytes, KIB(4), GIB(1024), MIB(256),
	      "bytes in level 0 from which compaction is due"),
	COUNT(level0_hard, 1, 1000, 12,
	      "runs in level 0 at which compaction is overdue"),
	COUNT(level_ratio, 2, 100, 10, "size of a level over the one above it"),
	BYTES(table_bytes, KIB(4), GIB(4), MIB(64),
	      "target size of a table in the upper levels"),
	BYTES(table_bytes_max, KIB(4), GIB(4), MIB(256),
	      "target size of a table in the deepest levels"),
	BYTES(block_bytes, 256, MIB(1), KIB(3),
	      "size of a data block before compression"),
	COUNT(restart_interval, 1, 1024, 16,
	      "keys from one whole key to the next in a block"),
	WORD(compression, codec_words, CODEC_LZ4,
	     "compression of all levels but the last"),
	WORD(compression_last, codec_words, CODEC_LZ4,
	     "compression of the last level"),
	COUNT(filter_bits, 0, 32, 10, "Bloom filter bits a key; 0: no filter"),
	BYTES(load_memory, KIB(4), GIB(64), MIB(256),
	      "memory a bulk load may hold"),
	BYTES(cache_bytes, 0, GIB(64), MIB(32),
	      "decoded blocks that an open handle keeps"),
	BYTES(job_bytes, KIB(4), GIB(1024), MIB(256),
	      "input of one compaction job"),
	COUNT(queue_depth, 1, 1u << 20, 4096,
	      "asynchronous operations that may be under way"),
	WORD(maintenance, maintenance_words, MAINTENANCE_AUTO,
	     "who runs lsm-compact: auto (writers start it) or cron"),
	{ .name = NULL },
};

static void option_put(struct options *o, const struct option_spec *s,
		       uint64_t v)
{
	memcpy((char *)o + s->offset, &v, sizeof(v));
}

const struct option_spec *option_find(struct slice name)
{
	for (const struct option_spec *s = option_specs; s->name; s++)
		if (slice_eq(name, slice_str(s->name)))
			return s;
	return NULL;
}

void options_default(struct options *o)
{
	for (const struct option_spec *s = option_specs; s->name; s++)
		option_put(o, s, s->def);
}

/* The start of `s` for a message: an operand may hold any bytes. */
static const char *shown(char *p, size_t size, struct slice s)
{
	size_t n = s.len < size - 1 ? s.len : size - 1;

	for (size_t i = 0; i < n; i++)
		p[i] = s.data[i] >= 0x20 && s.data[i] < 0x7f ? (char)s.data[i]
							     : '?';
	p[n] = '\0';
	return p;
}

static bool parse_number(struct slice text, bool units, uint64_t *v)
{
	unsigned shift = 0;

	if (units && text.len > 1) {
		switch (text.data[text.len - 1]) {
		case 'K':
			shift = 10;
			break;
		case 'M':
			shift = 20;
			break;
		case 'G':
			shift = 30;
			break;
		}
		text.len -= shift != 0;
	}
	*v = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' ||
		    __builtin_mul_overflow(*v, UINT64_C(10), v) ||
		    __builtin_add_overflow(*v, text.data[i] - (uint64_t)'0', v))
			return false;
	}
	return text.len > 0 &&
	       !__builtin_mul_overflow(*v, UINT64_C(1) << shift, v);
}

static bool parse_word(struct slice text, const char *const *words, uint64_t *v)
{
	for (*v = 0; words[*v]; ++*v)
		if (slice_eq(text, slice_str(words[*v])))
			return true;
	return false;
}

static int fail_word(const struct option_spec *s, struct store_error *err)
{
	char list[80] = "";

	for (size_t i = 0; s->words[i]; i++) {
		strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, s->words[i], sizeof(list) - strlen(list) - 1);
	}
	return store_fail(err, STORE_ECONFIG, "option %s: one of: %s", s->name,
			  list);
}

static int fail_number(const struct option_spec *s, struct store_error *err)
{
	return store_fail(
		err, STORE_ECONFIG,
		"option %s: a %s from %" PRIu64 " to %" PRIu64, s->name,
		s->type == OPTION_BYTES ? "number of bytes (K, M, G may follow)"
					: "number",
		s->min, s->max);
}

static bool in_bounds(const struct option_spec *s, uint64_t v)
{
	return v >= s->min && v <= s->max;
}

int options_set(struct options *o, struct slice name, struct slice value,
		struct store_error *err)
{
	const struct option_spec *s = option_find(name);
	char text[40];
	uint64_t v;

	if (!s)
		return store_fail(err, STORE_ECONFIG, "unknown option: %s",
				  shown(text, sizeof(text), name));
	if (slice_eq(value, slice_str("default"))) {
		v = s->def;
	} else if (s->type == OPTION_WORD) {
		if (!parse_word(value, s->words, &v))
			return fail_word(s, err);
	} else if (!parse_number(value, s->type == OPTION_BYTES, &v) ||
		   !in_bounds(s, v)) {
		return fail_number(s, err);
	}
	option_put(o, s, v);
	return 0;
}

int options_check(const struct options *o, struct store_error *err)
{
	for (const struct option_spec *s = option_specs; s->name; s++)
		if (!in_bounds(s, option_get(o, s)))
			return s->type == OPTION_WORD ? fail_word(s, err)
						      : fail_number(s, err);
	if (o->level0_hard < o->level0_runs)
		return store_fail(err, STORE_ECONFIG,
				  "option level0_hard is below level0_runs");
	if (o->table_bytes_max < o->table_bytes)
		return store_fail(err, STORE_ECONFIG,
				  "option table_bytes_max is below "
				  "table_bytes");
	return 0;
}
