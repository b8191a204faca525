#include "base/mount.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/str.h"

#define FUSE_PREFIX "fuse."

/* Those that keep files elsewhere, by their sub-type. Most of FUSE is local: encryption, unions,
 * containers' overlays. */
static const char *const network_types[] = {
	"blobfuse",  "blobfuse2", "ceph-fuse", "curlftpfs",   "davfs",    "gcsfuse",  "geesefs",
	"glusterfs", "goofys",    "grpcfuse",  "gvfsd-fuse",  "juicefs",  "kio-fuse", "mfs",
	"moosefs",   "onedriver", "osxfs",     "quobyte",     "rclone",   "s3fs",     "s3ql",
	"seaweedfs", "smbnetfs",  "sshfs",     "vmhgfs-fuse", "xtreemfs", NULL,
};

/* "36 35 98:0 /root /mount/point options [fields...] - type source options"; blanks within are
 * escaped. */
static bool is_on(const char *line, dev_t device)
{
	unsigned on_major, on_minor;

	return sscanf(line, "%*u %*u %u:%u", &on_major, &on_minor) == 2 &&
	       on_major == major(device) && on_minor == minor(device);
}

static const char *network_type(const char *line, size_t len)
{
	const char *type = memmem(line, len, " - " FUSE_PREFIX, strlen(" - " FUSE_PREFIX));
	size_t n;

	if (!type)
		return NULL;
	type += strlen(" - " FUSE_PREFIX);
	n = strcspn(type, " \n");
	for (size_t i = 0; network_types[i]; i++)
		if (strlen(network_types[i]) == n && strncmp(network_types[i], type, n) == 0)
			return network_types[i];
	return NULL;
}

const char *ccp_mount_network(const char *mountinfo, dev_t device)
{
	for (const char *line = mountinfo; *line;) {
		size_t len = strcspn(line, "\n");

		if (is_on(line, device))
			return network_type(line, len);
		line += len + (line[len] == '\n');
	}
	return NULL;
}
