#include "tests/crash/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 600

static void fail(const char *what, const char *path)
{
	fprintf(stderr, "place: %s: %s: %s\n", path, what, strerror(errno));
	exit(2);
}

static const char *join(char *path, const char *dir, const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%s", dir, name);
	return path;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **place_names(const char *dir, size_t *n)
{
	DIR *d = opendir(dir);
	char **names = NULL;
	struct dirent *e;

	*n = 0;
	if (!d)
		return NULL;
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		names = realloc(names, (*n + 1) * sizeof(*names));
		if (!names || !(names[*n] = strdup(e->d_name)))
			fail("memory", dir);
		++*n;
	}
	closedir(d);
	if (*n)
		qsort(names, *n, sizeof(*names), by_name);
	return names;
}

void place_free_names(char **names, size_t n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}

bool place_read(const char *dir, const char *name, struct buf *out)
{
	char path[PATH_SIZE];
	struct stat st;
	int fd = open(join(path, dir, name), O_RDONLY | O_CLOEXEC);

	buf_clear(out);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || buf_reserve(out, (size_t)st.st_size + 1) < 0)
		fail("read", path);
	if (pread(fd, out->data, (size_t)st.st_size, 0) != st.st_size)
		fail("read", path);
	out->len = (size_t)st.st_size;
	close(fd);
	return true;
}

static void put_bytes(int fd, const char *path, struct slice bytes, off_t at)
{
	if (fd < 0 ||
	    pwrite(fd, bytes.data, bytes.len, at) != (ssize_t)bytes.len)
		fail("write", path);
}

void place_write(const char *dir, const char *name, struct slice bytes)
{
	char path[PATH_SIZE];
	int fd = open(join(path, dir, name), O_WRONLY | O_CREAT | O_CLOEXEC,
		      0666);

	put_bytes(fd, path, bytes, 0);
	if (ftruncate(fd, (off_t)bytes.len) < 0)
		fail("truncate", path);
	close(fd);
}

void place_append(const char *dir, const char *name, struct slice bytes)
{
	char path[PATH_SIZE];
	struct stat st;
	int fd = open(join(path, dir, name), O_WRONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		fail("open", path);
	put_bytes(fd, path, bytes, st.st_size);
	close(fd);
}

void place_unlink(const char *dir, const char *name)
{
	char path[PATH_SIZE];

	if (unlink(join(path, dir, name)) < 0 && errno != ENOENT)
		fail("unlink", path);
}

void place_remove(const char *dir)
{
	size_t n;
	char **names = place_names(dir, &n);

	for (size_t i = 0; i < n; i++)
		place_unlink(dir, names[i]);
	place_free_names(names, n);
	if (rmdir(dir) < 0 && errno != ENOENT)
		fail("rmdir", dir);
}

void place_copy(const char *from, const char *to)
{
	struct buf bytes = BUF_INIT;
	char path[PATH_SIZE];
	struct stat st;
	size_t n;
	char **names = place_names(from, &n);

	place_remove(to);
	if (mkdir(to, 0777) < 0)
		fail("mkdir", to);
	for (size_t i = 0; i < n; i++) {
		if (!place_read(from, names[i], &bytes))
			fail("read", names[i]);
		place_write(to, names[i], buf_slice(&bytes));
		if (stat(join(path, from, names[i]), &st) < 0 ||
		    chmod(join(path, to, names[i]), st.st_mode & 07777) < 0)
			fail("chmod", path);
	}
	buf_free(&bytes);
	place_free_names(names, n);
}

static void keep_file(struct place *p, const char *name)
{
	char path[PATH_SIZE], kept[PATH_SIZE];
	struct kept_file *f;
	struct stat st;

	p->files = realloc(p->files, (p->n + 1) * sizeof(*p->files));
	if (!p->files)
		fail("memory", name);
	f = &p->files[p->n++];
	if (link(join(path, p->dir, name), join(kept, p->keep, name)) < 0 ||
	    stat(path, &st) < 0)
		fail("link", path);
	*f = (struct kept_file){ .name = strdup(name),
				 .inode = st.st_ino,
				 .mode = st.st_mode & 07777,
				 .bytes = BUF_INIT };
	if (!f->name || !place_read(p->dir, name, &f->bytes))
		fail("read", path);
}

void place_save(struct place *p, const char *dir, const char *keep)
{
	struct stat st;
	char **names;
	size_t n;

	p->dir = strdup(dir);
	p->keep = strdup(keep);
	p->exists = stat(dir, &st) == 0;
	place_remove(keep);
	if (mkdir(keep, 0777) < 0)
		fail("mkdir", keep);
	names = place_names(dir, &n);
	for (size_t i = 0; i < n; i++)
		keep_file(p, names[i]);
	place_free_names(names, n);
}

static const struct kept_file *find(const struct place *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->files[i].name, name))
			return &p->files[i];
	return NULL;
}

/* The file by its name again, and what it held. */
static void restore_file(const struct place *p, const struct kept_file *f)
{
	char path[PATH_SIZE], kept[PATH_SIZE];
	struct stat st;

	join(path, p->dir, f->name);
	join(kept, p->keep, f->name);
	if (stat(path, &st) < 0 && link(kept, path) < 0)
		fail("link", path);
	/* Nobody writes into a table; and not everybody could. */
	if (f->mode & S_IWUSR)
		place_write(p->dir, f->name, buf_slice(&f->bytes));
}

void place_restore(const struct place *p)
{
	const struct kept_file *f;
	char path[PATH_SIZE];
	struct stat st;
	size_t n;
	char **names = place_names(p->dir, &n);

	for (size_t i = 0; i < n; i++) {
		f = find(p, names[i]);
		if (!f || stat(join(path, p->dir, names[i]), &st) < 0 ||
		    st.st_ino != f->inode)
			place_unlink(p->dir, names[i]);
	}
	place_free_names(names, n);
	if (!p->exists) {
		if (rmdir(p->dir) < 0 && errno != ENOENT)
			fail("rmdir", p->dir);
		return;
	}
	if (mkdir(p->dir, 0777) < 0 && errno != EEXIST)
		fail("mkdir", p->dir);
	for (size_t i = 0; i < p->n; i++)
		restore_file(p, &p->files[i]);
}

void place_release(struct place *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->files[i].name);
		buf_free(&p->files[i].bytes);
	}
	if (p->keep)
		place_remove(p->keep);
	free(p->files);
	free(p->dir);
	free(p->keep);
	*p = (struct place){ .n = 0 };
}
