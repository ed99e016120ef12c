#include "lib/create.h"

#include "lib/configure.h"
#include "lib/install.h"

#include <errno.h>

/* The directory that `path` is, or will be, in; owned by the caller. */
static char *parent_of(const char *path)
{
	char *p = strdup(path);
	size_t n = p ? strlen(p) : 0;

	while (n > 1 && p[n - 1] == '/')
		p[--n] = '\0';
	while (n > 0 && p[n - 1] != '/')
		p[--n] = '\0';
	while (n > 1 && p[n - 1] == '/')
		p[--n] = '\0';
	if (p && n == 0) {
		free(p);
		p = strdup(".");
	}
	return p;
}

int create_dir(struct dir *d, const char *path, struct store_error *err)
{
	struct dir parent = DIR_INIT;
	char *up;
	int r;

	/* It was not there a moment ago: EEXIST is a creator beside us. */
	if (os.mkdir(path, 0777) < 0 &&
	    (errno != EEXIST || dir_open(d, path, NULL) < 0))
		return store_fail(err, STORE_ENOSPACE, "%s: cannot create: %s",
				  path, strerror(errno));
	dir_close(d);
	up = parent_of(path);
	if (!up)
		return store_nomem(err);
	r = dir_open(&parent, up, err);
	if (r == 0)
		r = dir_sync(&parent, err);
	dir_close(&parent);
	free(up);
	return r < 0 ? r : dir_open(d, path, err);
}

/* What a directory without a manifest holds. */
struct contents {
	char foreign[256];
	char data[NAME_SIZE];
};

static int see(void *ctx, const char *name)
{
	struct contents *c = ctx;
	uint64_t number;

	switch (name_parse(name, &number)) {
	case FILE_FOREIGN:
		if (!*c->foreign)
			memcpy(c->foreign, name,
			       strnlen(name, sizeof(c->foreign) - 1));
		break;
	case FILE_WAL:
	case FILE_SST:
		memcpy(c->data, name, strnlen(name, NAME_SIZE - 1));
		break;
	default:
		break;
	}
	return 0;
}

int create_check(const struct dir *d, struct store_error *err)
{
	struct contents c = { 0 };
	struct stat st;

	if (os.list(d->fd, see, &c) < 0)
		return store_fail_errno(err, d->path, NULL, "list", errno);
	/*
	 * Without locks this looks at a moving thing: since there was no
	 * manifest somebody may have made the store, and written to it.
	 */
	if ((*c.foreign || *c.data) &&
	    os.fstatat(d->fd, NAME_MANIFEST, &st) == 0)
		return 0;
	if (*c.foreign)
		return store_fail(err, STORE_ENOSPACE,
				  "%s: not a store, and not empty: it holds %s",
				  d->path, c.foreign);
	if (*c.data)
		return store_fail(err, STORE_ECORRUPT,
				  "%s: holds %s but no %s: lsm-repair rebuilds "
				  "it",
				  d->path, c.data, NAME_MANIFEST);
	return 0;
}

/* The options and the strategy that `config` asks for. */
static int configure(struct manifest *m, const struct store_config *config,
		     struct store_error *err)
{
	const struct store_change change = {
		.strategy =
			config->strategy ? config->strategy : DEFAULT_STRATEGY,
		.settings = config->settings,
		.n_settings = config->n_settings,
		.strategy_settings = config->strategy_settings,
		.n_strategy_settings = config->n_strategy_settings,
	};
	int r;

	options_default(&m->options);
	r = configure_apply(m, &change, err);
	return r < 0 ? r : 0;
}

int create_judge(const struct store_config *config, struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	int r = configure(&m, config, err);

	manifest_release(&m);
	return r;
}

static int fill(struct manifest *m, const struct store_config *config,
		struct store_error *err)
{
	if (os.random(m->uuid, sizeof(m->uuid)) < 0)
		return store_fail_errno(err, NULL, "getrandom", "uuid", errno);
	m->generation = 1;
	m->next_number = 1;
	m->created_ms = os.now_ms();
	return configure(m, config, err);
}

/* Under WRITE and MANIFEST. */
static int create_locked(struct store *db, const struct store_config *config,
			 struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	uint64_t checksum;
	struct stat st;
	int r;

	if (os.fstatat(db->dir.fd, NAME_MANIFEST, &st) == 0)
		return 0; /* N3 */
	r = create_check(&db->dir, err);
	if (r == 0)
		r = fill(&m, config, err);
	if (r == 0)
		r = install_write(db, &m, &checksum, err); /* N4 */
	manifest_release(&m);
	return r < 0 ? r : 1;
}

int create_store(struct store *db, const struct store_config *config,
		 struct store_error *err)
{
	int r = lock_acquire(&db->lock, ROLE_WRITE, err);

	if (r < 0)
		return r;
	r = lock_acquire(&db->lock, ROLE_MANIFEST, err);
	if (r == 0) {
		r = create_locked(db, config, err);
		lock_release(&db->lock, ROLE_MANIFEST);
	}
	lock_release(&db->lock, ROLE_WRITE);
	return r;
}
