#include "lib/plugin.h"

#include "lib/ask.h"
#include "lib/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#define SYMBOL "lsm_strategy"
#define PATH_SIZE 100

/* Where we look, and for what. */
struct place {
	const char *dir;
	char name[64]; /* of the file */
	struct store_error *err;
};

static int refuse(const struct place *p, const char *why)
{
	return store_fail(p->err, STORE_ECONFIG, "%s/%s: %s", p->dir, p->name,
			  why);
}

static int refuse_dir(const struct place *p, const char *why)
{
	return store_fail(p->err, STORE_ECONFIG, "%s: %s", p->dir, why);
}

/* Short of descriptors or memory: no fault of the strategy's, nor of its place.
 */
static bool is_shortage(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM;
}

static int fail_open(const struct place *p, const char *name, const char *why,
		     int errnum)
{
	return store_fail(p->err,
			  is_shortage(errnum) ? STORE_ESYSTEM : STORE_ECONFIG,
			  "%s%s%s: %s", p->dir, *name ? "/" : "", name, why);
}

/* May only root and the user who runs us have had a hand in it? */
static bool is_ours(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == os.euid()) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_dir(const struct place *p, int *fd)
{
	struct stat st;

	if (p->dir[0] != '/')
		return refuse_dir(p, "the directory of strategies must be "
				     "an absolute path");
	*fd = os.openat(AT_FDCWD, p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			0);
	if (*fd < 0 || os.fstat(*fd, &st) < 0)
		return fail_open(p, "", strerror(errno), errno);
	if (!is_ours(&st))
		return refuse_dir(p, "strategies are loaded only from a "
				     "directory of root's or one's own that "
				     "nobody else may write");
	return 0;
}

static int open_file(const struct place *p, int dirfd, int *fd)
{
	struct stat st;

	*fd = os.openat(
		dirfd, p->name,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0);
	if (*fd < 0 && errno == ELOOP)
		return refuse(p, "is a symbolic link");
	if (*fd < 0 || os.fstat(*fd, &st) < 0)
		return fail_open(p, p->name,
				 errno == ENOENT ? "there is no such strategy"
						 : strerror(errno),
				 errno);
	if (!S_ISREG(st.st_mode))
		return refuse(p, "is not a regular file");
	if (!is_ours(&st))
		return refuse(p, "is not root's or one's own, or somebody "
				 "else may write it");
	return 0;
}

static bool in_bounds(const struct lsm_option *o, uint64_t v)
{
	if (o->type == LSM_SIGNED)
		return (int64_t)o->min <= (int64_t)v &&
		       (int64_t)v <= (int64_t)o->max;
	return o->min <= v && v <= o->max;
}

static bool option_ok(const struct lsm_option *o)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	return o->name && o->name[0] && strchr(first, o->name[0]) &&
	       strspn(o->name, rest) == strlen(o->name) &&
	       strlen(o->name) < 64 && o->type <= LSM_SIGNED &&
	       in_bounds(o, o->def);
}

/* Nothing behind `size` is looked at before `size` is right. */
static int shake_hands(const struct place *p, const struct lsm_strategy *s,
		       const char *name)
{
	if (s->abi != LSM_STRATEGY_ABI)
		return store_fail(p->err, STORE_ECONFIG,
				  "%s/%s: built for strategy ABI %" PRIu32
				  ", this is %u",
				  p->dir, p->name, s->abi, LSM_STRATEGY_ABI);
	if (s->size != sizeof(*s))
		return store_fail(p->err, STORE_ECONFIG,
				  "%s/%s: its strategy has %" PRIu32
				  " bytes, not %zu",
				  p->dir, p->name, s->size, sizeof(*s));
	if (!s->name || strcmp(s->name, name))
		return refuse(p, "calls itself by another name");
	if (!s->plan || !s->need)
		return refuse(p, "does not plan");
	if (s->n_options > LSM_OPTIONS_MAX || (s->n_options && !s->options))
		return refuse(p, "has more options than there may be");
	for (size_t i = 0; i < s->n_options; i++)
		if (!option_ok(&s->options[i]))
			return refuse(p, "one of its options is not well "
					 "defined");
	return 0;
}

/*
 * After dlopen() failed, which says why in words only: would another
 * descriptor have been to be had?
 */
static int shortage(const char *path)
{
	int fd = os.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	int e = fd < 0 ? errno : 0;

	os_close(fd);
	return e;
}

/*
 * Not by its name: that might be another file by now.  The loader knows what
 * it has loaded by the path, and a plugin that stays when it is closed would
 * be found again under its descriptor's number; so no path is used twice: the
 * digits of a counter are written into it as slashes and dots.
 */
static void make_path(char path[PATH_SIZE], int fd)
{
	static atomic_uint opened;
	unsigned n = atomic_fetch_add(&opened, 1);
	char *to = path + sprintf(path, "/proc/self/fd");

	for (unsigned i = 0; i < 32; i++, n >>= 1)
		to += sprintf(to, n & 1 ? "/." : "/");
	snprintf(to, PATH_SIZE - (size_t)(to - path), "/%d", fd);
}

static int load(const struct place *p, struct plugin *out, const char *name)
{
	char path[PATH_SIZE];

	make_path(path, out->fd);
	out->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!out->handle)
		return fail_open(p, p->name, dlerror(), shortage(path));
	out->strategy = dlsym(out->handle, SYMBOL);
	if (!out->strategy)
		return refuse(p, "has no symbol " SYMBOL);
	return shake_hands(p, out->strategy, name);
}

int plugin_open(struct plugin *p, const char *dir, const char *name,
		struct store_error *err)
{
	struct place at = { .dir = dir ? dir : PLUGIN_DIR, .err = err };
	int dirfd = -1;
	int r;

	if (!strategy_name_ok(name))
		return store_fail(err, STORE_ECONFIG,
				  "a strategy's name is 1 to 32 of a-z, 0-9, "
				  "_ and -");
	if (os.raised())
		return store_fail(err, STORE_ECONFIG,
				  "strategies are not loaded by a program that "
				  "has more rights than who started it");
	snprintf(at.name, sizeof(at.name), "lsm-strategy-%s.so", name);
	if ((r = open_dir(&at, &dirfd)) < 0 ||
	    (r = open_file(&at, dirfd, &p->fd)) < 0)
		goto out;
	r = load(&at, p, name);
out:
	os_close(dirfd);
	if (r < 0)
		plugin_close(p);
	return r;
}

void plugin_close(struct plugin *p)
{
	if (p->handle)
		dlclose(p->handle);
	os_close(p->fd);
	*p = PLUGIN_INIT;
}

/* ---- options ---- */

/* What may follow a number, and what it is worth. */
struct unit {
	char letter;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{ 'K', UINT64_C(1) << 10 },
	{ 'M', UINT64_C(1) << 20 },
	{ 'G', UINT64_C(1) << 30 },
	{ '\0', 1 },
};

static const struct unit time_units[] = {
	{ 's', 1 },	{ 'm', 60 },	    { 'h', 3600 },
	{ 'd', 86400 }, { 'w', 7 * 86400 }, { '\0', 1 },
};

static const struct unit no_units[] = { { '\0', 1 } };

static const struct unit *units_of(uint32_t type)
{
	return type == LSM_BYTES     ? byte_units
	       : type == LSM_SECONDS ? time_units
				     : no_units;
}

static bool parse_value(const char *text, uint32_t type, uint64_t *v)
{
	bool minus = type == LSM_SIGNED && *text == '-';
	const struct unit *u = units_of(type);
	const char *p = text + minus;

	if (*p < '0' || *p > '9')
		return false;
	for (*v = 0; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*v, UINT64_C(10), v) ||
		    __builtin_add_overflow(*v, (uint64_t)(*p - '0'), v))
			return false;
	while (u->letter && u->letter != *p)
		u++;
	if (p[u->letter != '\0'] || __builtin_mul_overflow(*v, u->factor, v) ||
	    (type == LSM_SIGNED && *v > INT64_MAX))
		return false;
	if (minus)
		*v = -*v;
	return true;
}

static int fail_bounds(const struct lsm_strategy *s, const struct lsm_option *o,
		       struct store_error *err)
{
	if (o->type == LSM_SIGNED)
		return store_fail(err, STORE_ECONFIG,
				  "strategy %s: option %s: a number from "
				  "%" PRId64 " to %" PRId64,
				  s->name, o->name, (int64_t)o->min,
				  (int64_t)o->max);
	return store_fail(err, STORE_ECONFIG,
			  "strategy %s: option %s: a number from %" PRIu64
			  " to %" PRIu64 "%s",
			  s->name, o->name, o->min, o->max,
			  o->type == LSM_SECONDS ? " seconds" : "");
}

static int apply(const struct lsm_strategy *s, const struct setting *setting,
		 uint64_t *values, struct store_error *err)
{
	for (size_t i = 0; i < s->n_options; i++) {
		const struct lsm_option *o = &s->options[i];
		uint64_t v;

		if (strcmp(o->name, setting->name))
			continue;
		if (!parse_value(setting->value, o->type, &v) ||
		    !in_bounds(o, v))
			return fail_bounds(s, o, err);
		values[i] = v;
		return 0;
	}
	return store_fail(err, STORE_ECONFIG, "strategy %s: unknown option: %s",
			  s->name, setting->name);
}

int plugin_options(const struct lsm_strategy *s, const struct setting *settings,
		   size_t n, uint64_t *values, struct store_error *err)
{
	const struct question q = { .strategy = s, .options = values };
	struct answer a = ANSWER_INIT;
	int r;

	for (size_t i = 0; i < s->n_options; i++)
		values[i] = s->options[i].def;
	for (size_t i = 0; i < n; i++)
		if ((r = apply(s, &settings[i], values, err)) < 0)
			return r;
	if (!s->check)
		return 0;
	r = ask(&a, &q, err);
	if (r == 0 && a.objection[0])
		r = store_fail(err, STORE_ECONFIG, "strategy %s: %s", s->name,
			       a.objection);
	answer_release(&a);
	return r;
}
