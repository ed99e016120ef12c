/*
 * test_message.c - what a failure of the library makes of a tool's status.
 */
#include "bin/tool.h"
#include "tests/unit/test.h"

/* As lsm(7) tells; that a tool ends so is for tests/tools. */
TEST(every_error_of_the_library_has_the_exit_status_that_is_documented)
{
	static const struct {
		enum store_err code;
		int status;
	} told[] = {
		{ STORE_OK, 0 },	{ STORE_EINVAL, 64 },
		{ STORE_ECORRUPT, 65 }, { STORE_ENOSTORE, 66 },
		{ STORE_EGONE, 66 },	{ STORE_EBUG, 70 },
		{ STORE_ESYSTEM, 71 },	{ STORE_ENOSPACE, 73 },
		{ STORE_EIO, 74 },	{ STORE_EBUSY, 75 },
		{ STORE_EFULL, 75 },	{ STORE_EACCESS, 77 },
		{ STORE_ECONFIG, 78 },
	};

	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
		CHECK((int)tool_exit_of((int)told[i].code) == told[i].status);
}

TEST(an_error_that_nobody_knows_is_a_bug)
{
	CHECK(tool_exit_of(-1000) == 70);
}

TEST_MAIN()
