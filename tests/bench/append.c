/*
 * append.c - the least that a durable write by a process can cost.
 *
 *	append FILE
 *
 * Appends 4 KiB and makes them durable.  Linked as /bin/true is.
 */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const char page[4096];
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_APPEND | O_CREAT, 0644)
			   : -1;

	return fd < 0 || write(fd, page, sizeof(page)) != sizeof(page) ||
	       fdatasync(fd) != 0;
}
