#include "formats/options.h"

#include "tests/unit/test.h"

static int set(struct options *o, const char *name, const char *value,
	       struct store_error *err)
{
	*err = STORE_ERROR_INIT;
	return options_set(o, slice_str(name), slice_str(value), err);
}

TEST(defaults_pass_their_own_check)
{
	struct store_error err = STORE_ERROR_INIT;
	struct options o;

	options_default(&o);
	CHECK_OK(options_check(&o, &err), err);
	CHECK(o.write_buffer == 64u << 20);
	CHECK(o.tree_buffer == 24u << 20);
	CHECK(o.compression == CODEC_LZ4);
	CHECK(o.compression_last == CODEC_LZ4);
	CHECK(o.maintenance == MAINTENANCE_AUTO);
}

TEST(the_table_names_every_field_once)
{
	size_t n = 0;

	for (const struct option_spec *s = option_specs; s->name; s++, n++) {
		CHECK(s->offset == n * sizeof(uint64_t));
		CHECK(option_find(slice_str(s->name)) == s);
		CHECK(s->min <= s->def && s->def <= s->max);
		CHECK(s->help && *s->help);
		CHECK((s->type == OPTION_WORD) == (s->words != NULL));
	}
	CHECK(n * sizeof(uint64_t) == sizeof(struct options));
	CHECK(!option_find(slice_str("write_buffe")));
	CHECK(!option_find(slice_str("")));
}

TEST(bytes_take_the_units_K_M_and_G)
{
	struct store_error err;
	struct options o;

	options_default(&o);
	CHECK_OK(set(&o, "write_buffer", "4096", &err), err);
	CHECK(o.write_buffer == 4096);
	CHECK_OK(set(&o, "write_buffer", "16K", &err), err);
	CHECK(o.write_buffer == 16384);
	CHECK_OK(set(&o, "write_buffer", "3M", &err), err);
	CHECK(o.write_buffer == 3u << 20);
	CHECK_OK(set(&o, "write_buffer", "1G", &err), err);
	CHECK(o.write_buffer == 1u << 30);
}

TEST(a_wrong_number_is_refused_and_changes_nothing)
{
	static const char *const wrong[] = {
		"",
		"K",
		"-1",
		"+1",
		"1.5M",
		" 64M",
		"64M ",
		"64m",
		"64KB",
		"4095",
		"1025M",
		"0x1000",
		"18446744073709551616",
		"17179869184G",
		"99999999999999999999",
	};
	struct store_error err;
	struct options o;

	options_default(&o);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		CHECK(set(&o, "write_buffer", wrong[i], &err) == STORE_ECONFIG);
		CHECK(strstr(err.text, "write_buffer"));
		CHECK(strstr(err.text, "4096 to 1073741824"));
	}
	CHECK(o.write_buffer == 64u << 20);
	CHECK(set(&o, "sealed_logs", "1K", &err) == STORE_ECONFIG);
	CHECK(set(&o, "sealed_logs", "0", &err) == STORE_ECONFIG);
	CHECK(set(&o, "sealed_logs", "65", &err) == STORE_ECONFIG);
	CHECK_OK(set(&o, "sealed_logs", "64", &err), err);
}

TEST(words_are_taken_whole_and_listed_when_wrong)
{
	struct store_error err;
	struct options o;

	options_default(&o);
	CHECK_OK(set(&o, "compression", "zstd", &err), err);
	CHECK(o.compression == CODEC_ZSTD);
	CHECK_OK(set(&o, "compression", "none", &err), err);
	CHECK(o.compression == CODEC_NONE);
	CHECK_OK(set(&o, "maintenance", "cron", &err), err);
	CHECK(o.maintenance == MAINTENANCE_CRON);
	CHECK(set(&o, "compression", "zst", &err) == STORE_ECONFIG);
	CHECK(strstr(err.text, "none, lz4, zstd"));
	CHECK(set(&o, "compression", "1", &err) == STORE_ECONFIG);
	CHECK(set(&o, "compression", "", &err) == STORE_ECONFIG);
}

TEST(an_unknown_option_is_named_without_its_control_bytes)
{
	struct store_error err;
	struct options o;

	options_default(&o);
	CHECK(set(&o, "no\033such", "1", &err) == STORE_ECONFIG);
	CHECK(strstr(err.text, "no?such"));
}

TEST(check_compares_fields_with_bounds_and_each_other)
{
	struct store_error err = STORE_ERROR_INIT;
	struct options o;

	for (const struct option_spec *s = option_specs; s->name; s++) {
		uint64_t v = s->max + 1;

		options_default(&o);
		memcpy((char *)&o + s->offset, &v, sizeof(v));
		err = STORE_ERROR_INIT;
		CHECK(options_check(&o, &err) == STORE_ECONFIG);
		CHECK(strstr(err.text, s->name));
	}
	options_default(&o);
	o.level0_hard = o.level0_runs - 1;
	CHECK(options_check(&o, NULL) == STORE_ECONFIG);
	options_default(&o);
	o.table_bytes_max = o.table_bytes - 1;
	CHECK(options_check(&o, NULL) == STORE_ECONFIG);
}

TEST_MAIN()
