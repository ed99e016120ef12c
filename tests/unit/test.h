/*
 * test.h - unit tests: claims in sentences, checked one after another.
 *
 *	TEST(a_short_key_sorts_before_its_extensions)
 *	{
 *		CHECK(slice_cmp(...) < 0);
 *	}
 *	TEST_MAIN()
 *
 * Prints TAP: one line a test, and for a failed CHECK the file, line and
 * expression; a failed CHECK ends its test, the others go on.  The exit
 * status is 1 if any failed.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *test_first;
static struct test **test_last = &test_first;
static jmp_buf test_failed;

#define TEST(name_)                                                            \
	static void test_##name_(void);                                        \
	__attribute__((constructor)) static void add_##name_(void)             \
	{                                                                      \
		static struct test t = { #name_, test_##name_, NULL };         \
		*test_last = &t;                                               \
		test_last = &t.next;                                           \
	}                                                                      \
	static void test_##name_(void)

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond)) {                                                 \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);    \
			longjmp(test_failed, 1);                               \
		}                                                              \
	} while (0)

/* A call that returns a negative code and fills `err` must not. */
#define CHECK_OK(call, err)                                                    \
	do {                                                                   \
		int r_ = (call);                                               \
		if (r_ < 0) {                                                  \
			printf("# %s:%d: %s: %d %s\n", __FILE__, __LINE__,     \
			       #call, r_, (err).text);                         \
			longjmp(test_failed, 1);                               \
		}                                                              \
	} while (0)

static int test_all(void)
{
	static int n, failed; /* static: longjmp leaves them alone */
	static struct test *t;

	for (t = test_first; t; t = t->next) {
		n++;
		if (setjmp(test_failed) == 0) {
			t->run();
			printf("ok %d - %s\n", n, t->name);
		} else {
			failed++;
			printf("not ok %d - %s\n", n, t->name);
		}
		fflush(stdout);
	}
	printf("1..%d\n", n);
	return failed ? 1 : 0;
}

#define TEST_MAIN()                                                            \
	int main(void)                                                         \
	{                                                                      \
		return test_all();                                             \
	}

#endif
