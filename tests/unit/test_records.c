#include "formats/records.h"
#include "tests/unit/test.h"

#define ALL_FORMATS 3

/*
 * Parse `in`, handed over `step` bytes more at a time, and write every record
 * as tsv to `out`.  Returns what the last call returned.
 */
static int parse_all(struct record_parser *p, struct slice in, size_t step,
		     struct buf *out, struct store_error *err)
{
	size_t have = 0, pos = 0;
	int r;

	buf_clear(out);
	for (;;) {
		struct record rec;
		size_t used;
		bool eof = have == in.len;
		/* a copy of exactly these bytes, so that ASan sees an overrun
		 */
		uint8_t *copy = malloc(have - pos + 1);

		memcpy(copy, in.data + pos, have - pos);
		r = record_parse(p, slice_make(copy, have - pos), eof, &used,
				 &rec, err);
		if (r > 0)
			r = p->keys ? record_write_key(RECORD_TSV, out, rec.key,
						       err)
				    : record_write(RECORD_TSV, out, rec.key,
						   rec.value, err);
		else if (r == 0 && eof)
			have = SIZE_MAX;
		free(copy);
		if (r < 0 || have == SIZE_MAX)
			break;
		pos += used;
		if (!used)
			have = have + step < in.len ? have + step : in.len;
	}
	record_parser_release(p);
	return r;
}

static bool parses_to(enum record_format f, bool keys, const char *in,
		      size_t len, const char *want)
{
	struct buf out = BUF_INIT;
	bool good = true;

	for (size_t step = 1; good && step <= len + 1; step++) {
		struct record_parser p = RECORD_PARSER_INIT(f, keys, "in");
		struct store_error err = STORE_ERROR_INIT;
		int r = parse_all(&p, slice_make(in, len), step, &out, &err);

		good = r == 0 && slice_eq(buf_slice(&out), slice_str(want));
		if (!good)
			printf("# step %zu: %d %s [%.*s]\n", step, r, err.text,
			       (int)out.len, (char *)out.data);
	}
	buf_free(&out);
	return good;
}

static bool fails_with(enum record_format f, bool keys, const char *in,
		       size_t len, const char *want)
{
	struct buf out = BUF_INIT;
	bool good = true;

	for (size_t step = 1; good && step <= len + 1; step++) {
		struct record_parser p = RECORD_PARSER_INIT(f, keys, "in");
		struct store_error err = STORE_ERROR_INIT;
		int r = parse_all(&p, slice_make(in, len), step, &out, &err);

		good = r == STORE_ECORRUPT &&
		       !strncmp(err.text, want, strlen(want));
		if (!good)
			printf("# step %zu: %d [%s]\n", step, r, err.text);
	}
	buf_free(&out);
	return good;
}

#define PARSES(f, in, want) CHECK(parses_to(f, false, in, sizeof(in) - 1, want))
#define FAILS(f, in, want) CHECK(fails_with(f, false, in, sizeof(in) - 1, want))

TEST(tsv_the_key_ends_at_the_first_tab_and_later_tabs_are_the_values)
{
	PARSES(RECORD_TSV, "a\tb\nc\td\te\n", "a\tb\nc\td\\te\n");
}

TEST(tsv_every_escape_is_read_and_the_last_lf_may_be_missing)
{
	PARSES(RECORD_TSV, "\\t\\n\\r\\0\\\\\tx\\x41\\x7a\\xFf",
	       "\\t\\n\\r\\0\\\\\txAz\xff\n");
}

TEST(tsv_cr_and_nul_are_bytes)
{
	PARSES(RECORD_TSV, "a\tb\r\nc\0d\t\0\n", "a\tb\\r\nc\\0d\t\\0\n");
}

TEST(tsv_an_empty_value_is_a_value_and_no_input_no_record)
{
	PARSES(RECORD_TSV, "a\t\n", "a\t\n");
	PARSES(RECORD_TSV, "", "");
}

TEST(tsv_bad_records_name_their_line)
{
	FAILS(RECORD_TSV, "a\tb\n\n", "in: line 2: an empty line");
	FAILS(RECORD_TSV, "\n", "in: line 1: an empty line");
	FAILS(RECORD_TSV, "a\tb\nc\n", "in: line 2: no TAB");
	FAILS(RECORD_TSV, "a\\q\tb\n", "in: line 1: unknown escape");
	FAILS(RECORD_TSV, "a\tb\\", "in: line 1: unknown escape");
	FAILS(RECORD_TSV, "a\tb\\x4", "in: line 1: unknown escape");
	FAILS(RECORD_TSV, "a\tb\\xg0\n", "in: line 1: unknown escape");
	FAILS(RECORD_TSV, "\tb\n", "in: line 1: an empty key");
}

TEST(tsv_keys_alone_stand_a_key_a_line)
{
	CHECK(parses_to(RECORD_TSV, true, "a b\n\\tc\nd", 9, "a b\n\\tc\nd\n"));
	CHECK(fails_with(RECORD_TSV, true, "a\nb\tc\n", 6,
			 "in: line 2: a TAB in a key"));
}

TEST(tsv_a_key_without_end_is_refused_before_it_is_all_read)
{
	struct record_parser p = RECORD_PARSER_INIT(RECORD_TSV, false, "in");
	struct store_error err = STORE_ERROR_INIT;
	size_t used, len = 4 * RECORD_KEY_MAX + 1;
	struct record rec;
	char *in = malloc(len);

	memset(in, 'k', len);
	CHECK(record_parse(&p, slice_make(in, len), false, &used, &rec, &err) ==
	      STORE_ECORRUPT);
	free(in);
}

TEST(a_key_over_its_limit_is_bad_in_every_format)
{
	for (int f = 0; f < ALL_FORMATS; f++) {
		struct store_error err = STORE_ERROR_INIT;
		struct buf key = BUF_INIT, text = BUF_INIT;
		struct record rec;
		size_t used;

		for (int more = 0; more < 2; more++) {
			struct record_parser p = RECORD_PARSER_INIT(
				(enum record_format)f, false, "in");

			buf_clear(&text);
			CHECK(buf_append_zeros(&key, RECORD_KEY_MAX) == 0);
			key.len = RECORD_KEY_MAX + (size_t)more;
			CHECK(buf_reserve(&key, 1) == 0);
			memset(key.data, 'k', key.len);
			CHECK_OK(record_write((enum record_format)f, &text,
					      buf_slice(&key), slice_str("v"),
					      &err),
				 err);
			CHECK(record_parse(&p, buf_slice(&text), true, &used,
					   &rec, &err) ==
			      (more ? STORE_ECORRUPT : 1));
			buf_clear(&key);
			record_parser_release(&p);
		}
		buf_free(&key);
		buf_free(&text);
	}
}

TEST(nul_key_and_value_end_with_a_nul_each)
{
	PARSES(RECORD_NUL, "a\0b\0c\nd\0\0", "a\tb\nc\\nd\t\n");
	PARSES(RECORD_NUL, "", "");
	CHECK(parses_to(RECORD_NUL, true, "a\0b\t\0", 5, "a\nb\\t\n"));
}

TEST(nul_bad_records_name_their_offset)
{
	FAILS(RECORD_NUL, "a\0b\0c\0", "in: offset 4: ends inside a value");
	FAILS(RECORD_NUL, "a\0b\0c", "in: offset 4: ends inside a key");
	FAILS(RECORD_NUL, "a\0b\0\0c\0", "in: offset 4: an empty key");
	CHECK(fails_with(RECORD_NUL, true, "a\0b", 3,
			 "in: offset 2: ends inside a key"));
}

TEST(nul_refuses_to_write_a_nul_and_leaves_the_output_as_it_was)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf out = BUF_INIT;

	CHECK(record_write(RECORD_NUL, &out, slice_str("k"),
			   slice_make("a\0b", 3), &err) == STORE_ECORRUPT);
	CHECK(out.len == 0);
	CHECK(record_write_key(RECORD_NUL, &out, slice_make("\0", 1), NULL) ==
	      STORE_ECORRUPT);
	CHECK(out.len == 0);
	buf_free(&out);
}

TEST(jsonl_fields_are_text_or_base64_in_any_order)
{
	PARSES(RECORD_JSONL, "{\"key\":\"a\",\"value\":\"b\"}\n", "a\tb\n");
	PARSES(RECORD_JSONL, "{\"value_base64\":\"AAE=\",\"key\":\"\\u0000\"}",
	       "\\0\t\\0\x01\n");
	PARSES(RECORD_JSONL,
	       "{\"key_base64\":\"/w==\",\"value\":\"\\ud83d\\ude00\"}\n",
	       "\xff\t\xf0\x9f\x98\x80\n");
	PARSES(RECORD_JSONL,
	       " {\"key\":\"a\",\"value\":\"\",\"from\":{\"file\":\"x\"}}\n",
	       "a\t\n");
	CHECK(parses_to(RECORD_JSONL, true, "{\"key\":\"a\"}\n", 12, "a\n"));
}

TEST(jsonl_bad_records_name_their_line)
{
#define J(line, why)                                                           \
	FAILS(RECORD_JSONL, "{\"key\":\"a\",\"value\":\"b\"}\n" line "\n",     \
	      "in: line 2: " why)
	J("", "not JSON");
	J("[]", "not ");
	J("{\"key\":\"a\"}", "no value");
	J("{\"value\":\"a\"}", "no key");
	J("{\"key\":\"\",\"value\":\"a\"}", "an empty key");
	J("{\"key\":1,\"value\":\"a\"}", "key and value must be strings");
	J("{\"key\":\"a\",\"key_base64\":\"YQ==\",\"value\":\"\"}",
	  "a field stands twice");
	J("{\"key\":\"a\",\"key\":\"a\",\"value\":\"\"}", "not JSON");
	J("{\"key\":\"a\",\"value\":\"b\",\"ttl\":1}", "a member that");
	J("{\"key\":\"a\",\"value_base64\":\"YQ=\"}", "bad base64");
	J("{\"key\":\"a\",\"value_base64\":\"YR==\"}", "bad base64");
	J("{\"key\":\"a\",\"value_base64\":\"Y===\"}", "bad base64");
	J("{\"key\":\"a\",\"value_base64\":\"=Q==\"}", "bad base64");
	J("{\"key\":\"a\",\"value\":\"\xff\"}", "not JSON");
	J("{\"key\":\"a\",\"value\":\"b\"} x", "not JSON");
	J("{\"end\":true,\"records\":1,\"checksum\":\"0000000000000000\"}",
	  "an end mark without a header");
	J("{\"lsm_records\":1}", "a header that is not first");
#undef J
	FAILS(RECORD_JSONL, "{\"lsm_records\":2}\n",
	      "in: line 1: a stream of an unknown version");
	CHECK(fails_with(RECORD_JSONL, true, "{\"key\":\"a\",\"value\":\"\"}",
			 22, "in: line 1: a value where a key alone"));
}

/* A framed stream of two records, the second one's value as given. */
static void framed(struct buf *out, const char *value, uint64_t count)
{
	struct store_error err = STORE_ERROR_INIT;
	struct slice a = slice_str("a"), one = slice_str("1");
	struct slice b = slice_str("b"), v = slice_str(value);
	uint64_t sum = 0;

	buf_clear(out);
	sum = record_checksum(sum, a, one);
	sum = record_checksum(sum, b, slice_str("2"));
	CHECK_OK(record_write_header(out, "\"store\":\"x\"", &err), err);
	CHECK_OK(record_write_jsonl(out, a, &one, "\"from\":{\"n\":1}", &err),
		 err);
	CHECK_OK(record_write_jsonl(out, b, &v, NULL, &err), err);
	CHECK_OK(record_write_end_mark(out, count, sum, &err), err);
}

TEST(a_framed_stream_must_end_with_its_end_mark)
{
	struct buf s = BUF_INIT;

	framed(&s, "2", 2);
	CHECK(parses_to(RECORD_JSONL, false, (char *)s.data, s.len,
			"a\t1\nb\t2\n"));
	/* cut at every line */
	for (size_t len = s.len - 1; len > 0; len--)
		if (s.data[len - 1] == '\n')
			CHECK(fails_with(RECORD_JSONL, false, (char *)s.data,
					 len, "in: line "));
	framed(&s, "3", 2);
	CHECK(fails_with(RECORD_JSONL, false, (char *)s.data, s.len,
			 "in: line 4: the checksum"));
	framed(&s, "2", 3);
	CHECK(fails_with(RECORD_JSONL, false, (char *)s.data, s.len,
			 "in: line 4: the count"));
	framed(&s, "2", 2);
	CHECK(buf_append(&s, "{\"key\":\"c\",\"value\":\"\"}\n", 23) == 0);
	CHECK(fails_with(RECORD_JSONL, false, (char *)s.data, s.len,
			 "in: line 5: a line after the end mark"));
	buf_free(&s);
}

TEST(every_byte_round_trips_or_is_refused)
{
	struct buf text = BUF_INIT, back = BUF_INIT, want = BUF_INIT;

	for (int f = 0; f < ALL_FORMATS; f++) {
		for (int c = 0; c < 65536; c++) {
			char k[3] = { 'k', (char)(c >> 8), (char)c };
			struct slice key = slice_make(k, 3);
			struct slice value = slice_make(k + 1, 2);
			struct store_error err = STORE_ERROR_INIT;
			struct record_parser p = RECORD_PARSER_INIT(
				(enum record_format)f, false, "in");
			bool nul = f == RECORD_NUL && (!k[1] || !k[2]);
			int r;

			buf_clear(&text);
			r = record_write((enum record_format)f, &text, key,
					 value, &err);
			CHECK(r == (nul ? STORE_ECORRUPT : 0));
			if (nul)
				continue;
			r = parse_all(&p, buf_slice(&text), SIZE_MAX / 2, &back,
				      &err);
			CHECK_OK(r, err);
			buf_clear(&want);
			CHECK_OK(record_write(RECORD_TSV, &want, key, value,
					      &err),
				 err);
			CHECK(slice_eq(buf_slice(&back), buf_slice(&want)));
		}
	}
	buf_free(&text);
	buf_free(&back);
	buf_free(&want);
}

TEST(a_value_in_pieces_is_the_value_whole)
{
	struct slice key = slice_str("k\t"), value = slice_str("a\\b\nc\td");
	struct buf whole = BUF_INIT, pieces = BUF_INIT;

	for (int f = RECORD_TSV; f <= RECORD_NUL; f++) {
		struct store_error err = STORE_ERROR_INIT;
		enum record_format format = (enum record_format)f;

		buf_clear(&whole);
		buf_clear(&pieces);
		CHECK_OK(record_write(format, &whole, key, value, &err), err);
		CHECK_OK(record_write_start(format, &pieces, key, &err), err);
		for (size_t i = 0; i < value.len; i++)
			CHECK_OK(record_write_piece(
					 format, &pieces,
					 slice_make(value.data + i, 1), &err),
				 err);
		CHECK_OK(record_write_end(format, &pieces, &err), err);
		CHECK(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	}
	buf_free(&whole);
	buf_free(&pieces);
}

TEST(formats_are_found_by_name)
{
	CHECK(record_format_find("tsv") == RECORD_TSV);
	CHECK(record_format_find("nul") == RECORD_NUL);
	CHECK(record_format_find("jsonl") == RECORD_JSONL);
	CHECK(record_format_find("xml") == -1);
	CHECK(record_format_find("") == -1);
}

TEST_MAIN()
