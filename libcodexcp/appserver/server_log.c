#include "appserver/server_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"

#define LOG_MAX  (8 << 20)
#define TAIL_MAX 4096

static int64_t size_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

int64_t ccp_server_log_trim(const char *path)
{
	_cleanup_close_ int fd = path ? ccp_file_open(path, O_WRONLY, 0600, NULL) : -1;
	int64_t size = size_of(fd);

	/* Who appends to it goes on at the new end. */
	return size > LOG_MAX && ftruncate(fd, 0) == 0 ? 0 : size;
}

char *ccp_server_log_tail(const char *path, int64_t from)
{
	_cleanup_close_ int fd = path ? ccp_file_open(path, O_RDONLY, 0600, NULL) : -1;
	int64_t size = size_of(fd);
	char text[TAIL_MAX];
	ssize_t n;

	if (fd < 0 || size <= from)
		return NULL;
	n = pread(fd, text, sizeof(text), CCP_MAX(from, size - TAIL_MAX));
	return n > 0 ? ccp_utf8_sanitize(text, (size_t)n, NULL) : NULL;
}
