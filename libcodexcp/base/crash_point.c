#include "base/crash_point.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macro.h"

#define POINTS_MAX 256

void ccp_crash_point_name(char out[static CCP_CRASH_POINT_SIZE], const char *family,
			  const char *name, const char *when)
{
	snprintf(out, CCP_CRASH_POINT_SIZE, "%s.%s.%s", family, name, when);
	for (char *c = out; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
}

/* How often this process has come to the point, this time included. */
static int count_hit(const char *point)
{
	static struct {
		char point[CCP_CRASH_POINT_SIZE];
		int hits;
	} counts[POINTS_MAX];
	size_t i = 0;

	while (i < POINTS_MAX - 1 && counts[i].hits && strcmp(counts[i].point, point) != 0)
		i++;
	snprintf(counts[i].point, sizeof(counts[i].point), "%s", point);
	return ++counts[i].hits;
}

static void trace(const char *dir, const char *point)
{
	char path[4096], line[CCP_CRASH_POINT_SIZE + 16];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/trace", dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0) {
		snprintf(line, sizeof(line), "%d %s\n", (int)getpid(), point);
		(void)!write(fd, line, strlen(line));
	}
}

/* Whether it was ordered, and nobody has done it before. */
static bool take_order(const char *dir, const char *action, const char *point, int hit)
{
	char order[4096], taken[4096];

	snprintf(order, sizeof(order), "%s/%s:%s:%d", dir, action, point, hit);
	snprintf(taken, sizeof(taken), "%s/hit:%s:%d:%d", dir, point, hit, (int)getpid());
	return rename(order, taken) == 0;
}

void ccp_crash_point(const char *family, const char *name, const char *when)
{
	const char *dir = getenv("CODEXCP_CRASH_AT");
	char point[CCP_CRASH_POINT_SIZE];
	int hit;

	if (!dir)
		return;
	ccp_crash_point_name(point, family, name, when);
	hit = count_hit(point);
	trace(dir, point);
	if (take_order(dir, "kill", point, hit))
		kill(getpid(), SIGKILL);
	if (take_order(dir, "stop", point, hit))
		kill(getpid(), SIGSTOP);
}
