#include "lib/inspectpath.h"

#include "formats/sstable.h"
#include "formats/state.h"

static enum file_kind kind_of_name(const char *name)
{
	static const struct {
		const char *suffix;
		enum file_kind kind;
	} suffixes[] = {
		{ ".sst", FILE_SST },
		{ ".sst.tmp", FILE_SST },
		{ ".wal", FILE_WAL },
		{ ".idx", FILE_IDX },
		{ ".ver", FILE_VER },
		{ ".ver.tmp", FILE_VER },
		{ NAME_STATE, FILE_STATE },
		{ NAME_MANIFEST, FILE_MANIFEST },
		{ NAME_MANIFEST_TMP, FILE_MANIFEST },
	};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i].suffix);

		if (len >= n && !strcmp(name + len - n, suffixes[i].suffix))
			return suffixes[i].kind;
	}
	return FILE_FOREIGN;
}

/* By the magic at the front, or, of a table, in the footer. */
static enum file_kind kind_of_bytes(const uint8_t *front, size_t n,
				    const uint8_t *footer)
{
	if (footer && !memcmp(footer, "lsm sst\n", 8))
		return FILE_SST;
	if (n >= 8 && !memcmp(front, "lsm wal\n", 8))
		return FILE_WAL;
	if (n >= 8 && !memcmp(front, "lsm ver\n", 8))
		return FILE_VER;
	if (n >= 8 && load_u64(front) == STATE_MAGIC)
		return FILE_STATE;
	if (n >= 8 && load_u64(front) == IDX_MAGIC)
		return FILE_IDX;
	if (n >= 1 && front[0] == '{')
		return FILE_MANIFEST;
	return FILE_FOREIGN;
}

static int look(struct inspect_path *p, struct store_error *err)
{
	uint8_t front[8], footer[SST_FOOTER];
	size_t n = 0;
	int fd = os_open(&p->dir, p->name, O_RDONLY, 0, err);
	int r;

	if (fd < 0)
		return fd;
	r = os_size(fd, &p->bytes, &p->dir, p->name, err);
	if (r == 0)
		r = os_read_some(fd, front, sizeof(front), 0, &n, &p->dir,
				 p->name, err);
	if (r == 0 && p->bytes >= SST_FOOTER)
		r = os_read(fd, footer, sizeof(footer), p->bytes - SST_FOOTER,
			    &p->dir, p->name, err);
	os_close(fd);
	if (r < 0)
		return r;
	p->kind = kind_of_name(p->name);
	if (p->kind == FILE_FOREIGN)
		p->kind = kind_of_bytes(front, n,
					p->bytes >= SST_FOOTER ? footer : NULL);
	if (p->kind == FILE_FOREIGN)
		return store_corrupt(err, p->dir.path, p->name, 0,
				     "not a file of a store");
	return 0;
}

int inspect_path_open(struct inspect_path *p, const char *path,
		      struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	const char *slash = strrchr(path, '/');
	char *dir =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int r;

	*p = (struct inspect_path){ .dir = DIR_INIT };
	if (!dir)
		return store_nomem(err);
	/* "DIR", as messages have it, not "DIR/". */
	for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
		dir[n - 1] = '\0';
	p->name = slash ? slash + 1 : path;
	r = dir_open(&p->dir, dir, &e);
	if (r == 0)
		r = look(p, &e);
	free(dir);
	if (r == STORE_ENOSTORE || r == STORE_EGONE)
		r = store_fail(err, STORE_ENOSTORE, "%s: no such file", path);
	else if (r < 0 && err && err->code == 0)
		*err = e;
	if (r < 0)
		inspect_path_close(p);
	return r;
}

void inspect_path_close(struct inspect_path *p)
{
	dir_close(&p->dir);
}
