#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mount.h"
#include "base/path.h"
#include "base/str.h"
#include "base/strbuf.h"

#define READ_CHUNK 16384

void ccp_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int ccp_file_open(const char *path, int flags, mode_t mode, struct codexcp_error *err)
{
	int fd = open(path, flags | O_CLOEXEC, mode);

	return fd < 0 ? ccp_fail_errno(err, errno, "cannot open %s", path) : fd;
}

/* As read(), but not interrupted. */
static ssize_t read_some(int fd, char *data, size_t len)
{
	ssize_t n;

	do
		n = read(fd, data, len);
	while (n < 0 && errno == EINTR);
	return n;
}

static int read_all(int fd, const char *path, size_t max, struct ccp_strbuf *sb,
		    struct codexcp_error *err)
{
	char chunk[READ_CHUNK];
	ssize_t n;

	while ((n = read_some(fd, chunk, sizeof(chunk))) > 0) {
		if ((size_t)n > max - sb->len)
			return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT,
					"%s is larger than %zu bytes", path, max);
		ccp_strbuf_append_n(sb, chunk, (size_t)n);
		if (sb->failed)
			return ccp_fail_oom(err);
	}
	return n < 0 ? ccp_fail_errno(err, errno, "cannot read %s", path) : 0;
}

int ccp_file_read(const char *path, size_t max, char **ret_data, size_t *ret_len,
		  struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(max);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data;
	size_t len;
	int r;

	if (fd < 0 && errno != ENOENT)
		return ccp_fail_errno(err, errno, "cannot open %s", path);
	if (fd < 0) {
		*ret_data = NULL;
		return 0;
	}
	r = read_all(fd, path, max, &sb, err);
	if (r < 0)
		return r;
	len = sb.len;
	data = ccp_strbuf_take(&sb);
	if (!data)
		return ccp_fail_oom(err);
	*ret_data = data;
	if (ret_len)
		*ret_len = len;
	return 1;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Makes the new name in the directory as durable as the file. */
static int sync_parent(const char *path, struct codexcp_error *err)
{
	_cleanup_free_ char *dir = ccp_path_parent(path);
	_cleanup_close_ int fd = -1;

	if (!dir)
		return ccp_fail_oom(err);
	fd = ccp_file_open(dir, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? ccp_fail_errno(err, errno, "cannot sync %s", dir) : 0;
}

int ccp_file_temp(char *template, struct codexcp_error *err)
{
	int fd = mkostemp(template, O_CLOEXEC);

	return fd < 0 ? ccp_fail_errno(err, errno, "cannot create %s", template) : fd;
}

/* A name that may not last is taken back. */
static int keep_name(const char *path, struct codexcp_error *err)
{
	int r = sync_parent(path, err);

	if (r < 0)
		unlink(path);
	return r;
}

int ccp_file_publish(int fd, const char *temp, const char *path, struct codexcp_error *err)
{
	if (fsync(fd) < 0)
		return ccp_fail_errno(err, errno, "cannot sync %s", temp);
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return keep_name(path, err);
	/* Not every file system knows this kind of renaming; all local ones have links. */
	if (errno == EINVAL && link(temp, path) == 0) {
		unlink(temp);
		return keep_name(path, err);
	}
	if (errno == EEXIST)
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s exists", path);
	return ccp_fail_errno(err, errno, "cannot name a file %s", path);
}

int64_t ccp_file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

int ccp_file_replace(const char *path, const char *data, size_t len, mode_t mode,
		     struct codexcp_error *err)
{
	_cleanup_free_ char *temp = ccp_asprintf("%s.XXXXXX", path);
	_cleanup_close_ int fd = -1;

	if (!temp)
		return ccp_fail_oom(err);
	fd = ccp_file_temp(temp, err);
	if (fd < 0)
		return fd;
	if (write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
	    rename(temp, path) < 0) {
		int saved = errno;

		unlink(temp);
		return ccp_fail_errno(err, saved, "cannot write %s", path);
	}
	return sync_parent(path, err);
}

/* One directory, which may be there already; chmod() because the umask has no say. */
static int make_dir(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return chmod(path, mode);
	if (errno != EEXIST || stat(path, &st) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	return 0;
}

int ccp_dir_make(const char *path, mode_t mode, struct codexcp_error *err)
{
	_cleanup_free_ char *parent = NULL;
	int r;

	if (make_dir(path, mode) == 0)
		return 0;
	if (errno != ENOENT)
		return ccp_fail_errno(err, errno, "cannot make the directory %s", path);
	parent = ccp_path_parent(path);
	if (!parent)
		return ccp_fail_oom(err);
	r = ccp_dir_make(parent, mode, err);
	if (r < 0)
		return r;
	if (make_dir(path, mode) < 0)
		return ccp_fail_errno(err, errno, "cannot make the directory %s", path);
	return 0;
}

int ccp_dir_check_private(const char *path, struct codexcp_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return ccp_fail_errno(err, errno, "cannot use %s", path);
	if (!S_ISDIR(st.st_mode))
		ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE, "%s is not a directory", path);
	else if (st.st_uid != geteuid())
		ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE,
			 "%s belongs to another user; run: chown %u %s", path, geteuid(), path);
	else if (st.st_mode & 077)
		ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE,
			 "%s is open to other users; run: chmod 700 %s", path, path);
	else
		return 0;
	ccp_error_add_str(err, "reason", "not_private");
	return CODEXCP_E_STATE_UNAVAILABLE;
}

/* f_type of the network file systems of Linux (statfs(2)). */
static const struct {
	unsigned long type;
	const char *name;
} network_types[] = {
	{ 0x6969, "NFS" },
	{ 0x517b, "SMB" },
	{ 0xff534d42, "CIFS" },
	{ 0xfe534d42, "SMB2" },
	{ 0x5346414f, "AFS" },
	{ 0x6b414653, "AFS" },
	{ 0x73757245, "Coda" },
	{ 0x564c, "NCP" },
	{ 0x00c36400, "Ceph" },
	{ 0x01021997, "9P" },
	{ 0x0bd00bd0, "Lustre" },
	{ 0x47504653, "GPFS" },
	{ 0x19830326, "BeeGFS" },
	{ 0x7461636f, "OCFS2" },
	{ 0x01161970, "GFS2" },
	{ 0x20030528, "OrangeFS" },
	{ 0x786f4256, "a folder shared with the host" },
};

/* Whatever FUSE brings has one type; which it is stands in mountinfo. */
#define FUSE_TYPE     0x65735546
#define MOUNTINFO     "/proc/self/mountinfo"
#define MAX_MOUNTINFO (8u << 20)

static const char *fuse_network_name(const char *path)
{
	_cleanup_free_ char *mountinfo = NULL;
	struct stat st;

	return stat(path, &st) == 0 &&
			       ccp_file_read(MOUNTINFO, MAX_MOUNTINFO, &mountinfo, NULL, NULL) == 1
		       ? ccp_mount_network(mountinfo, st.st_dev)
		       : NULL;
}

static const char *network_name(const char *path, const struct statfs *fs)
{
	unsigned long type = (unsigned long)fs->f_type & 0xffffffffUL;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(network_types); i++)
		if (type == network_types[i].type)
			return network_types[i].name;
	return type == FUSE_TYPE ? fuse_network_name(path) : NULL;
}

int ccp_dir_check_local(const char *path, struct codexcp_error *err)
{
	struct statfs fs;
	const char *name;

	if (statfs(path, &fs) < 0)
		return ccp_fail_errno(err, errno, "cannot examine %s", path);
	name = network_name(path, &fs);
	if (!name)
		return 0;
	ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE,
		 "%s is on a network file system (%s); set CODEX_MCP_STATE_DB to a local disk, or "
		 "CODEX_MCP_NETWORK_FILE_SYSTEM to allow when no other machine uses it",
		 path, name);
	ccp_error_add_str(err, "path", path);
	ccp_error_add_str(err, "reason", "network_fs");
	return CODEXCP_E_STATE_UNAVAILABLE;
}
