#include "formats/manifest.h"

#include "formats/jsontext.h"
#include "tests/unit/manifests.h"
#include "tests/unit/test.h"

#include <xxhash.h>

static int parse(const struct buf *text, struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	int r;

	*err = STORE_ERROR_INIT;
	r = manifest_parse(&m, buf_slice(text), "dir", "MANIFEST.json", err);
	manifest_release(&m);
	return r;
}

static void format(const struct manifest *m, struct buf *text)
{
	struct store_error err = STORE_ERROR_INIT;
	uint64_t sum;

	buf_clear(text);
	CHECK_OK(manifest_format(m, text, &sum, &err), err);
	CHECK(sum == manifest_checksum(buf_slice(text)));
}

/* Put the right checksum under a text that was changed. */
static void reseal(struct buf *text)
{
	size_t at = text->len - strlen(MANIFEST_END) - 16;

	hex_encode_u64((char *)text->data + at, XXH3_64bits(text->data, at));
}

/* Replace the first `from` by `to`, and seal again. */
static void edit(struct buf *text, const char *from, const char *to)
{
	struct buf out = BUF_INIT;
	char *at;

	CHECK(buf_append_u8(text, 0) == 0);
	at = strstr((char *)text->data, from);
	CHECK(at);
	text->len--;
	CHECK(!buf_append(&out, text->data, (size_t)(at - (char *)text->data)));
	CHECK(!buf_append(&out, to, strlen(to)));
	at += strlen(from);
	CHECK(!buf_append(&out, at,
			  text->len - (size_t)(at - (char *)text->data)));
	buf_free(text);
	*text = out;
	reseal(text);
}

/* ---- the text ---- */

TEST(what_is_written_is_read_back_whatever_it_is)
{
	struct store_error err = STORE_ERROR_INIT;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct manifest m = MANIFEST_INIT, back = MANIFEST_INIT;
		struct buf text = BUF_INIT, again = BUF_INIT;

		random_manifest(&m, seed, seed % 10 * 30);
		CHECK_OK(manifest_check(&m, "dir", "m", &err), err);
		format(&m, &text);
		CHECK_OK(manifest_parse(&back, buf_slice(&text), "dir", "m",
					&err),
			 err);
		format(&back, &again);
		CHECK(slice_eq(buf_slice(&text), buf_slice(&again)));
		CHECK(same_manifest(&m, &back));
		manifest_release(&m);
		manifest_release(&back);
		buf_free(&text);
		buf_free(&again);
	}
}

TEST(keys_that_are_awkward_in_json_come_back_as_they_were)
{
	static const char *const keys[] = {
		"\"",
		"\\",
		"/",
		"\\u0041",
		"\xc3\xa9 \xf0\x9f\x8c\xb2",
		"\x7f",
		"\xe2\x80\xa8",
		"\t\n\r",
		"\xff\xfe",
		" ",
	};
	struct store_error err = STORE_ERROR_INIT;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		struct manifest m = MANIFEST_INIT, back = MANIFEST_INIT;
		struct table_meta t = make_table(1, 1, 1, keys[i], keys[i]);
		struct buf text = BUF_INIT;

		start_manifest(&m);
		m.generation = 1;
		m.next_number = 2;
		add_run(&m, 0, &t, 1);
		format(&m, &text);
		CHECK_OK(
			manifest_parse(&back, buf_slice(&text), "d", "m", &err),
			err);
		CHECK(same_manifest(&m, &back));
		manifest_release(&m);
		manifest_release(&back);
		buf_free(&text);
	}
}

TEST(format_appends_and_checks_only_its_own_bytes)
{
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;
	struct buf a = BUF_INIT, b = BUF_INIT;
	uint64_t x, y;

	small_manifest(&m);
	CHECK_OK(manifest_format(&m, &a, &x, &err), err);
	CHECK(!buf_append(&b, "before", 6));
	CHECK_OK(manifest_format(&m, &b, &y, &err), err);
	CHECK(x == y && b.len == a.len + 6);
	CHECK(!memcmp(b.data + 6, a.data, a.len));
	manifest_release(&m);
	buf_free(&a);
	buf_free(&b);
}

TEST(every_flipped_bit_and_every_cut_is_found)
{
	struct manifest m = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	struct store_error err;

	small_manifest(&m);
	format(&m, &text);
	CHECK_OK(parse(&text, &err), err);
	for (size_t i = 0; i < text.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			text.data[i] ^= (uint8_t)(1 << bit);
			CHECK(parse(&text, &err) == STORE_ECORRUPT);
			text.data[i] ^= (uint8_t)(1 << bit);
		}
	}
	for (size_t n = text.len; n-- > 0;) {
		text.len = n;
		CHECK(parse(&text, &err) == STORE_ECORRUPT);
	}
	manifest_release(&m);
	buf_free(&text);
}

/* Under a right checksum, so that the reader itself must refuse. */
static const struct refusal {
	const char *from, *to, *why;
} refusals[] = {
	{ "{\n", "{ \n", "not as this program writes it" },
	{ "\"generation\": 7", "\"generation\":7", "not as this" },
	{ "\"generation\": 7", "\"generation\": 7.0", "generation" },
	{ "\"generation\": 7", "\"generation\": 7e0", "generation" },
	{ "\"generation\": 7", "\"generation\": -7", "generation" },
	{ "\"generation\": 7", "\"generation\": \"7\"", "generation" },
	{ "\"generation\": 7", "\"generation\": 0", "generation" },
	{ "\"generation\": 7", "\"generation\": 07", "not JSON" },
	{ "\"generation\": 7", "\"generation\": 9007199254740992", "2^53" },
	{ "\"generation\": 7", "\"generation\": 99999999999999999999",
	  "too large" },
	{ " \"generation\": 7,\n", "", "generation" },
	{ "\"generation\": 7", "\"generation\": 7,\n \"generation\": 7",
	  "twice" },
	{ "\"generation\": 7", "\"generation\": 7,\n \"extra\": 1", "extra" },
	{ "\"generation\": 7", "\"generation\": 7,\n \"\\u001b[\": 1",
	  "\"?\"" },
	{ "\"generation\": 7", "\"gener\\u0061tion\": 7", "not as this" },
	{ "\"generation\": 7,\n \"next_number\": 90",
	  "\"next_number\": 90,\n \"generation\": 7", "not as this" },
	{ "\"format\": \"lsm manifest\"", "\"format\": \"other\"",
	  "not a manifest" },
	{ "\"major\": 1", "\"major\": 2",
	  "format version 2 is newer than this program" },
	{ "\"major\": 1", "\"major\": 0", "no format version 0.0" },
	{ "\"minor\": 0", "\"minor\": 4294967296", "no format version" },
	{ "\"uuid\": \"0", "\"uuid\": \"", "uuid" },
	{ "\"uuid\": \"00", "\"uuid\": \"AA", "uuid" },
	{ "\"write_buffer\": 67108864", "\"write_buffer\": 1", "write_buffer" },
	{ "  \"write_buffer\": 67108864,\n", "", "write_buffer" },
	{ "\"write_buffer\"", "\"write_puffer\"", "write_puffer" },
	{ "\"lz4\"", "\"lzo\"", "none, lz4, zstd" },
	{ "\"lz4\"", "1", "compression" },
	{ "\"strategy\": \"leveled\"", "\"strategy\": \"../leveled\"",
	  "strategy" },
	{ "\"strategy\": \"leveled\"", "\"strategy\": null", "strategy" },
	{ "\"ratio\": \"10\"", "\"ratio\": 10", "not a string" },
	{ "\"ratio\": \"10\"", "\"ratio\": \"1\\u0007\"", "printable" },
	{ "\"a\": \"\", \"ratio\": \"10\"", "\"ratio\": \"10\", \"a\": \"\"",
	  "not in order" },
	{ "\"sealed\": false", "\"sealed\": 0", "sealed" },
	{ "\"sealed\": false", "\"sealed\": false, \"length\": 0",
	  "not as this" },
	{ "\"sealed\": true, ", "", "sealed" },
	{ "\"length\": 4096, ", "", "length" },
	{ "\"age_first\": 1,", "\"age_first\": 0,", "bad age" },
	{ "\"bytes\": 1000", "\"size\": 1000", "size" },
	{ "\"smallest\": \"k01\"", "\"smallest\": \"\"", "bad key range" },
	{ "\"smallest\": \"k01\"", "\"smallest\": \"\\u0000\"", "not JSON" },
	{ "\"smallest\": \"k01\"", "\"smallest\": \"\\ud800\"", "not JSON" },
	{ "\"smallest\": \"k01\"", "\"smallest_hex\": \"6b3031\"",
	  "not as this" },
	{ "\"smallest\": \"k01\"", "\"smallest_hex\": \"6b303\"",
	  "hexadecimal" },
	{ "\"smallest\": \"k01\"", "\"smallest_hex\": \"6B\"", "hexadecimal" },
	{ "\"smallest\": \"k01\"",
	  "\"smallest\": \"k01\", \"smallest_hex\": \"6b3031\"", "one string" },
	{ "\"smallest\": \"k01\"", "\"largest_hex\": \"00\"", "one string" },
	{ "\"checksum\": \"00000000000003e9\"", "\"checksum\": 1001",
	  "16 hexadecimal" },
	{ "\"levels\": [", "\"levels\": [[[1]],", "object is missing" },
	{ "\"levels\": [", "\"levels\": [[1],", "not a list" },
	{ "\"levels\": [", "\"levels\": [1,", "not a list" },
	{ "\"levels\": [", "\"levels\": 1, \"x\": [", "unknown member" },
	{ "\"compacted_bytes\": [0, 5]", "\"compacted_bytes\": [0, 5, 0]",
	  "not as this" },
	{ "\"compacted_bytes\": [0, 5]", "\"compacted_bytes\": [0, -5]",
	  "no count" },
	{ "\"compacted_bytes\": [0, 5]",
	  "\"compacted_bytes\": [0, 9007199254740992]", "2^53" },
	{ "\"may_ignore\": {}", "\"may_ignore\": []", "may_ignore" },
	{ "\"may_ignore\": {}", "\"may_ignore\": {\"a\": 1.5}", "may_ignore" },
	{ "\"may_ignore\": {}", "\"may_ignore\": {\"a\": -9007199254740992}",
	  "may_ignore" },
	{ "\"may_ignore\": {}", "\"may_ignore\": {\"a\":1}", "not as this" },
	{ "\"may_ignore\": {}", "\"may_ignore\": {\"a\": \"\\n\"}",
	  "may_ignore" },
	{ "\"may_ignore\": {}",
	  "\"may_ignore\": {\"a\": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
	  "may_ignore" },
	{ "\"checksum\": \"", "\"checksum\" : \"", "not as this" },
};

TEST(a_text_that_is_not_canonical_is_refused_for_its_reason)
{
	struct manifest m = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	struct store_error err;

	small_manifest(&m);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		const struct refusal *c = &refusals[i];
		int r;

		format(&m, &text);
		edit(&text, c->from, c->to);
		r = parse(&text, &err);
		if (r != STORE_ECORRUPT || !strstr(err.text, c->why))
			printf("# %s -> %s: %d %s\n", c->from, c->to, r,
			       err.text);
		CHECK(r == STORE_ECORRUPT && strstr(err.text, c->why));
		CHECK(strstr(err.text, "dir/MANIFEST.json: "));
	}
	manifest_release(&m);
	buf_free(&text);
}

/* Another digit may be as good as the one before; nothing else is. */
TEST(bytes_changed_under_a_right_checksum_are_refused_or_true)
{
	static const char pieces[] = "\"\\{}[],: 0123456789-.eunltrfas\n";
	struct buf good = BUF_INIT, text = BUF_INIT, again = BUF_INIT;
	struct manifest m = MANIFEST_INIT;
	uint64_t s = 4711;
	int taken = 0;

	small_manifest(&m);
	format(&m, &good);
	for (int round = 0; round < 20000; round++) {
		struct manifest back = MANIFEST_INIT;

		CHECK(!buf_assign(&text, buf_slice(&good)));
		for (uint64_t k = 1 + next_random(&s) % 3; k; k--)
			text.data[next_random(&s) % (text.len - 20)] =
				next_random(&s) % 4
					? (uint8_t)pieces[next_random(&s) %
							  strlen(pieces)]
					: (uint8_t)next_random(&s);
		reseal(&text);
		if (manifest_parse(&back, buf_slice(&text), "d", "m", NULL) < 0)
			continue;
		format(&back, &again);
		CHECK(slice_eq(buf_slice(&text), buf_slice(&again)));
		taken++;
		manifest_release(&back);
	}
	CHECK(taken > 100);
	manifest_release(&m);
	buf_free(&good);
	buf_free(&text);
	buf_free(&again);
}

TEST(a_newer_minor_version_and_what_it_adds_survive_a_rewrite)
{
	static const char added[] =
		"{\"z\": [1, -2, \"\xc3\xa9\", null, true], \"a\": {}}";
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT, back = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	char member[100];

	small_manifest(&m);
	format(&m, &text);
	edit(&text, "\"minor\": 0", "\"minor\": 3");
	snprintf(member, sizeof(member), "\"may_ignore\": %s", added);
	edit(&text, "\"may_ignore\": {}", member);
	CHECK_OK(manifest_parse(&back, buf_slice(&text), "d", "m", &err), err);
	CHECK(back.minor == 3);
	CHECK(slice_eq(buf_slice(&back.may_ignore), slice_str(added)));
	manifest_release(&m);
	manifest_release(&back);
	buf_free(&text);
}

TEST(a_key_is_text_only_when_it_is_printable_utf8)
{
	static const struct {
		const char *bytes;
		bool text;
	} keys[] = {
		{ "a b", true },
		{ "\"\\/", true },
		{ "\xc2\xa0", true },
		{ "\xed\x9f\xbf", true },
		{ "\xee\x80\x80", true },
		{ "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\x1f", false },
		{ "\x7f", false },
		{ "\xc2\x9f", false },
		{ "\xc1\xbf", false },
		{ "\xe0\x9f\xbf", false },
		{ "\xed\xa0\x80", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf8\x88\x80\x80\x80", false },
		{ "\xe2\x82", false },
		{ "\x80", false },
		{ "a\xff", false },
		{ "\xe2\x28\xa1", false },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		CHECK(text_ok(slice_str(keys[i].bytes)) == keys[i].text);
	CHECK(text_ok(SLICE_NULL));
	CHECK(!text_ok(slice_make("a\0b", 3)));
}

TEST_MAIN()
