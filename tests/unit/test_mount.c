#include "base/mount.h"

#include <sys/sysmacros.h>

#include "ccp_check.h"

/* As Linux prints them. */
static const char mountinfo[] =
	"22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw\n"
	"27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"90 27 0:52 / /home/me/far rw,nosuid,nodev,relatime shared:40 - fuse.sshfs me@host:/srv "
	"rw,user_id=1000,group_id=1000\n"
	"91 27 0:53 / /home/me/a\\040-\\040fuse.sshfs rw master:1 propagate_from:2 - fuse.gocryptfs "
	"/home/me/cipher rw\n"
	"92 27 0:54 / /bucket rw - fuse.s3fs s3fs rw,allow_other\n"
	"93 27 0:55 / /odd rw - fuse.sshfs2 x rw\n"
	"94 27 8:17 / /media rw - fuseblk /dev/sdb1 rw\n"
	"95 27 0:56 / /plain rw - fuse x rw\n"
	"cut 27 0:57 / /wrong rw - fuse.sshfs x rw\n"
	"97 27 0:58 / /last rw - fuse.rclone remote: rw";

START_TEST(test_types)
{
	static const struct {
		unsigned major, minor;
		const char *name;
	} rows[] = {
		{ 0, 21, NULL },   { 8, 1, NULL },  { 0, 52, "sshfs" }, { 0, 53, NULL },
		{ 0, 54, "s3fs" }, { 0, 55, NULL }, { 8, 17, NULL },    { 0, 56, NULL },
		{ 0, 57, NULL },   { 0, 5, NULL },  { 52, 0, NULL },    { 0, 58, "rclone" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		const char *name = ccp_mount_network(mountinfo,
						     makedev(rows[i].major, rows[i].minor));

		if (rows[i].name)
			ck_assert_str_eq(name, rows[i].name);
		else
			ck_assert_ptr_null(name);
	}
	ck_assert_ptr_null(ccp_mount_network("", makedev(0, 52)));
	ck_assert_ptr_null(ccp_mount_network("\n\n36 35", makedev(0, 52)));
}
END_TEST

CCP_TEST_MAIN("mount", test_types)
