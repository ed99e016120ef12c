/*
 * flip.c - each bit of a store turned, and each byte made 0xFF, one by one.
 *
 * The file is changed in place, as a disk or a memory would, then put right
 * again.  Meanwhile lsm-verify's engine (lib/inspect.h) must call the store
 * damaged, and a reader may see right values and honest errors, nothing else.
 * Twice: warm, beside a process that has the store open, so that trees and
 * images are in use; and cold, with nothing but the durable files.  Cold, the
 * last batch of the log may pass for one that a crash cut off.
 *
 * Then each field of the tokens by which living memory is believed, with the
 * memory itself made wrong: it must be built anew, not believed.
 *
 * Trials run in a child, so that a crash is a finding and not the end.
 * Output is TAP.
 */
#include "tests/crash/flip_store.h"

#include "formats/state.h"
#include "lib/inspect.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN 5
/* The eight bits, and all of them. */
#define CHANGES 9

/* What parent and child share of one file's trials. */
struct trials {
	uint64_t next;
	uint64_t done;
	uint64_t missed;
};

static struct trials *shared;
static int tests;

static int ok(bool good, const char *claim)
{
	printf("%sok %d - flip: %s\n", good ? "" : "not ", ++tests, claim);
	fflush(stdout);
	return good ? 0 : 1;
}

/* ---- bytes of a file ---- */

static void put_byte(const char *path, uint64_t at, uint8_t byte)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, &byte, 1, (off_t)at) != 1) {
		perror(path);
		_exit(71);
	}
	close(fd);
}

static uint8_t *whole_file(const char *path, uint64_t *len)
{
	struct stat st;
	uint8_t *data = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &st) == 0) {
		*len = (uint64_t)st.st_size;
		data = malloc(*len + 1);
	}
	if (!data || pread(fd, data, *len, 0) != (ssize_t)*len) {
		perror(path);
		exit(71);
	}
	close(fd);
	return data;
}

/* ---- one change, one look ---- */

static int is_damaged(const char *dir, struct store_error *err)
{
	const struct verify_config config = { 0 };
	int r = verify_store(dir, &config, err);

	return r == 1 || r == STORE_ECORRUPT;
}

/* Nothing but the durable files is left. */
static void go_cold(const char *dir)
{
	flip_remove(dir, "STATE");
	flip_remove(dir, ".idx");
	flip_remove(dir, ".ver");
}

struct target {
	const struct flip_store *store;
	const char *path;
	bool cold;
	uint64_t tail; /* from here on a cold log may seem cut */
};

static bool trial(const struct target *t, uint64_t at, uint8_t old, uint8_t new)
{
	const char *dir = t->store->dir;
	struct store_error err = STORE_ERROR_INIT;
	bool tail = t->cold && at >= t->tail;
	bool found, right;

	if (t->cold)
		go_cold(dir);
	put_byte(t->path, at, new);
	found = is_damaged(dir, &err);
	right = flip_read(t->store, tail) != FLIP_WRONG;
	put_byte(t->path, at, old);
	if ((found || tail) && right)
		return true;
	if (shared->missed < SHOWN)
		printf("# %s: byte %" PRIu64 ": %02x as %02x: %s%s %s\n",
		       t->path, at, old, new, found ? "" : "not found; ",
		       right ? "" : "a reader was wrong", err.text);
	fflush(stdout);
	return false;
}

/* All trials from shared->next on; the parent watches. */
static void try_all(const struct target *t, const uint8_t *data, uint64_t len)
{
	while (shared->next < len * CHANGES) {
		uint64_t n = shared->next++;
		uint8_t old = data[n / CHANGES];
		uint8_t new =
			n % CHANGES < 8 ? old ^ (1u << n % CHANGES) : 0xff;

		if (new == old)
			continue;
		shared->done++;
		if (!trial(t, n / CHANGES, old, new))
			shared->missed++;
	}
}

static void flip_file(struct target t, const char *name, const char *claim)
{
	struct store *keeper = NULL;
	struct store_error err = STORE_ERROR_INIT;
	char path[600];
	uint8_t *data;
	uint64_t len;
	int status;

	snprintf(path, sizeof(path), "%s/%s", t.store->dir, name);
	t.path = path;
	*shared = (struct trials){ 0 };
	/* Warm: a process has all of it in use. */
	if (!t.cold && store_open(&keeper, t.store->dir, NULL, &err) < 0) {
		printf("# %s\n", err.text);
		ok(false, claim);
		return;
	}
	data = whole_file(path, &len);
	for (bool again = true; again;) {
		pid_t pid = fork();

		if (pid == 0) {
			try_all(&t, data, len);
			fflush(stdout);
			_exit(0);
		}
		again = waitpid(pid, &status, 0) == pid && status != 0;
		if (again) {
			uint64_t n = shared->next - 1;

			printf("# %s: byte %" PRIu64 ", change %d: died, "
			       "status %x\n",
			       path, n / CHANGES, (int)(n % CHANGES),
			       (unsigned)status);
			put_byte(path, n / CHANGES, data[n / CHANGES]);
			shared->missed++;
			again = shared->missed < SHOWN;
		}
	}
	free(data);
	store_close(keeper);
	if (t.cold)
		go_cold(t.store->dir);
	printf("# %s: %" PRIu64 " bytes, %" PRIu64 " changes, %" PRIu64
	       " missed\n",
	       path, len, shared->done, shared->missed);
	ok(shared->missed == 0 && shared->done >= len * 8 &&
		   !is_damaged(t.store->dir, &err) &&
		   flip_read(t.store, false) == FLIP_RIGHT,
	   claim);
}

/* ---- tokens ---- */

struct field {
	const char *name;
	size_t off;
	size_t len;
};

#define FIELD(f)                                                               \
	{                                                                      \
#f, offsetof(struct token, f), sizeof(((struct token *)0)->f)  \
	}

static const struct field fields[] = {
	FIELD(magic),	 FIELD(version),
	FIELD(n_pairs),	 FIELD(dev),
	FIELD(inode),	 FIELD(uuid),
	FIELD(salt),	 FIELD(pairs[0].boot),
	FIELD(checksum), FIELD(pairs[0].mount),
};

/* The tree forgets everything, by a commit that checks. */
static void empty_tree(const char *path)
{
	uint8_t page[STATE_PAGE];
	struct slot s;
	uint32_t at;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || pread(fd, page, sizeof(page), 0) != sizeof(page) ||
	    !cell_read(page + IDX_COMMIT_OFF, IDX_COMMIT_OFF, &s)) {
		perror(path);
		exit(71);
	}
	s.v[COMMIT_ROOT] = s.v[COMMIT_ENTRIES] = 0;
	at = cell_next(IDX_COMMIT_OFF, &s);
	if (pwrite(fd, &s, sizeof(s), at) != sizeof(s))
		perror(path);
	close(fd);
}

/* Change a field of a token; all but the checksum stay consistent. */
static void spoil(const char *path, const struct field *f)
{
	struct token t;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || pread(fd, &t, sizeof(t), 0) != sizeof(t)) {
		perror(path);
		exit(71);
	}
	((uint8_t *)&t)[f->off] ^= 1;
	if (strcmp(f->name, "checksum"))
		token_seal(&t);
	if (pwrite(fd, &t, sizeof(t), 0) != sizeof(t))
		perror(path);
	close(fd);
}

/* A rebuild keeps the pairs of this boot: ours may have moved. */
static bool lists_pair(const struct token *t, const struct token_pair *pair)
{
	for (uint32_t i = 0; i < t->n_pairs; i++)
		if (!memcmp(&t->pairs[i], pair, sizeof(*pair)))
			return true;
	return false;
}

/* Is the token believed again, that is, was it written anew? */
static bool mended(const char *path, const struct field *f,
		   const struct token *before)
{
	struct token t;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && pread(fd, &t, sizeof(t), 0) == sizeof(t) &&
		    token_ok(&t, before->magic, before->version) &&
		    (lists_pair(&t, &before->pairs[0]) ||
		     f->off < offsetof(struct token, pairs)) &&
		    (f->off >= offsetof(struct token, pairs) ||
		     !memcmp((uint8_t *)&t + f->off,
			     (const uint8_t *)before + f->off, f->len));

	close(fd);
	return good;
}

static int spoil_each(const struct flip_store *s, const char *name,
		      const char *claim)
{
	char path[600], tree[600];
	struct token before;
	bool good = true;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	snprintf(tree, sizeof(tree), "%s/%s", s->dir, s->tree);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *f = &fields[i];

		flip_read(s, false); /* all is built and believed */
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (pread(fd, &before, sizeof(before), 0) != sizeof(before))
			return ok(false, claim);
		close(fd);
		empty_tree(tree);
		spoil(path, f);
		if (flip_read(s, false) != FLIP_RIGHT ||
		    !mended(path, f, &before)) {
			printf("# %s: %s changed: believed\n", path, f->name);
			good = false;
		}
	}
	/* Sound tokens are believed, or this proves nothing. */
	empty_tree(tree);
	if (flip_read(s, false) != FLIP_WRONG) {
		printf("# %s: an empty tree was not believed\n", path);
		good = false;
	}
	go_cold(s->dir);
	return ok(good && flip_read(s, false) == FLIP_RIGHT, claim);
}

int main(void)
{
	struct flip_store s;
	struct target warm, cold;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || flip_make(&s) < 0)
		return 71;
	warm = (struct target){ .store = &s, .tail = UINT64_MAX };
	cold = warm;
	cold.cold = true;
	flip_file(warm, s.table, "a table, in use");
	flip_file(warm, s.log, "a log, its tree in use");
	flip_file(warm, "MANIFEST.json", "the manifest, in use");
	flip_file(cold, s.table, "a table alone");
	cold.tail = s.last_batch;
	flip_file(cold, s.log, "a log alone, but for its last batch");
	cold.tail = UINT64_MAX;
	flip_file(cold, "MANIFEST.json", "the manifest alone");
	spoil_each(&s, "STATE", "each field of STATE's token: a rebuild");
	spoil_each(&s, s.tree, "each field of a tree's token: a rebuild");
	printf("1..%d\n", tests);
	flip_unmake(&s);
	return 0;
}
