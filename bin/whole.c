#include "bin/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define STEP 65536u

static int read_all(int fd, const char *path, size_t most, struct buf *text,
		    struct store_error *err)
{
	ssize_t n = 1;

	while (n != 0 && text->len <= most) {
		if (buf_reserve(text, STEP) < 0)
			return store_nomem(err);
		n = read(fd, text->data + text->len, STEP);
		if (n < 0 && errno != EINTR)
			return store_fail(err, STORE_EIO, "%s: %s", path,
					  strerror(errno));
		text->len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int whole_read(const char *path, size_t most, struct buf *text,
	       struct store_error *err)
{
	int fd, r;

	if (!strcmp(path, "-"))
		return read_all(0, "standard input", most, text, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return store_fail(
			err, errno == EACCES ? STORE_EACCESS : STORE_ENOSTORE,
			"%s: %s", path, strerror(errno));
	r = read_all(fd, path, most, text, err);
	close(fd);
	return r;
}
