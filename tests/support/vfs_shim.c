#include "vfs_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512

/* A file as its readers see it; the file itself is what would survive. */
struct image {
	char *path;
	unsigned char *data;
	bool *dirty; /* by sector */
	size_t size, capacity;
	struct image *next;
};

struct shim_file {
	sqlite3_file base;
	struct image *image; /* NULL: straight through */
	sqlite3_file *real;
};

static struct {
	sqlite3_vfs vfs, *real;
	struct image *images;
	bool holding, off, paused;
	enum shim_failure failure;
	enum shim_times times;
	int countdown, struck;
} shim;

static struct shim_file *shim_of(sqlite3_file *file)
{
	return (struct shim_file *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return shim_of(file)->real;
}

/* Failures */

static bool strikes(bool takes_space)
{
	if (shim.paused || shim.failure == SHIM_NONE || (shim.failure != SHIM_IO && !takes_space))
		return false;
	if (shim.countdown > 0)
		shim.countdown--;
	if (shim.countdown > 0)
		return false;
	shim.struck++;
	errno = shim.failure == SHIM_IO ? EIO : ENOSPC;
	if (shim.times == SHIM_ONCE)
		shim.failure = SHIM_NONE;
	return true;
}

void shim_fail(enum shim_failure failure, int n, enum shim_times times)
{
	shim.failure = failure;
	shim.countdown = n;
	shim.times = times;
	shim.struck = 0;
}

void shim_pause(bool paused)
{
	shim.paused = paused;
}

int shim_failures(void)
{
	return shim.struck;
}

/* Images */

static void *grown(void *old, size_t size)
{
	void *data = realloc(old, size);

	if (!data)
		abort();
	return data;
}

static void image_resize(struct image *image, size_t size)
{
	size_t capacity = (size + SECTOR - 1) / SECTOR * SECTOR;

	if (capacity > image->capacity) {
		image->data = grown(image->data, capacity);
		image->dirty = grown(image->dirty, capacity / SECTOR * sizeof(bool));
		memset(image->data + image->capacity, 0, capacity - image->capacity);
		memset(image->dirty + image->capacity / SECTOR, 0,
		       (capacity - image->capacity) / SECTOR * sizeof(bool));
		image->capacity = capacity;
	}
	if (size < image->size)
		memset(image->data + size, 0, image->size - size);
	image->size = size;
}

static struct image *image_find(const char *path)
{
	struct image *image = shim.images;

	while (image && strcmp(image->path, path) != 0)
		image = image->next;
	return image;
}

static struct image *image_load(const char *path, sqlite3_file *real)
{
	struct image *image = image_find(path);
	sqlite3_int64 size = 0;

	if (image)
		return image;
	image = calloc(1, sizeof(*image));
	if (!image || !(image->path = strdup(path)) ||
	    real->pMethods->xFileSize(real, &size) != SQLITE_OK)
		abort();
	image_resize(image, (size_t)size);
	if (size && real->pMethods->xRead(real, image->data, (int)size, 0) != SQLITE_OK)
		abort();
	image->next = shim.images;
	shim.images = image;
	return image;
}

static void image_free(struct image *image)
{
	free(image->path);
	free(image->data);
	free(image->dirty);
	free(image);
}

static void image_forget(const char *path)
{
	for (struct image **at = &shim.images; *at; at = &(*at)->next)
		if (strcmp((*at)->path, path) == 0) {
			struct image *gone = *at;

			*at = gone->next;
			image_free(gone);
			return;
		}
}

/* Files */

static int file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods ? real_of(file)->pMethods->xClose(real_of(file)) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
	const struct image *image = shim_of(file)->image;
	size_t have;

	if (strikes(false))
		return SQLITE_IOERR_READ;
	if (!image)
		return real_of(file)->pMethods->xRead(real_of(file), to, n, at);
	have = (size_t)at < image->size ? image->size - (size_t)at : 0;
	have = have < (size_t)n ? have : (size_t)n;
	if (have)
		memcpy(to, image->data + at, have);
	if (have == (size_t)n)
		return SQLITE_OK;
	memset((char *)to + have, 0, (size_t)n - have);
	return SQLITE_IOERR_SHORT_READ;
}

static int put(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
	struct image *image = shim_of(file)->image;

	if (shim.off)
		return SQLITE_IOERR_WRITE;
	if (!image)
		return real_of(file)->pMethods->xWrite(real_of(file), from, n, at);
	if ((size_t)at + (size_t)n > image->size)
		image_resize(image, (size_t)at + (size_t)n);
	memcpy(image->data + at, from, (size_t)n);
	for (size_t i = (size_t)at / SECTOR; i * SECTOR < (size_t)at + (size_t)n; i++)
		image->dirty[i] = true;
	return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
	enum shim_failure failure = shim.failure;

	if (!strikes(true))
		return put(file, from, n, at);
	if (failure == SHIM_SHORT)
		(void)put(file, from, n / 2, at);
	return failure == SHIM_IO ? SQLITE_IOERR_WRITE : SQLITE_FULL;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct image *image = shim_of(file)->image;

	if (strikes(false) || shim.off)
		return SQLITE_IOERR_TRUNCATE;
	if (!image)
		return real_of(file)->pMethods->xTruncate(real_of(file), size);
	image_resize(image, (size_t)size);
	return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
	struct image *image = shim_of(file)->image;
	sqlite3_file *real = real_of(file);

	if (strikes(false) || shim.off)
		return SQLITE_IOERR_FSYNC;
	for (size_t i = 0; image && i * SECTOR < image->size; i++) {
		size_t left = image->size - i * SECTOR;

		if (image->dirty[i] && real->pMethods->xWrite(real, image->data + i * SECTOR,
							      left < SECTOR ? (int)left : SECTOR,
							      (sqlite3_int64)(i * SECTOR)))
			abort();
		image->dirty[i] = false;
	}
	if (image && real->pMethods->xTruncate(real, (sqlite3_int64)image->size) != SQLITE_OK)
		abort();
	/* The disk under the tests needs no sync: nobody switches it off. */
	return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	const struct image *image = shim_of(file)->image;

	if (strikes(false))
		return SQLITE_IOERR_FSTAT;
	if (!image)
		return real_of(file)->pMethods->xFileSize(real_of(file), size);
	*size = (sqlite3_int64)image->size;
	return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *reserved)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	/* Hints would grow the file past its image. */
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_OK;
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
	return SECTOR;
}

/* No promise: neither of atomic writes nor that others' bytes survive. */
static int file_characteristics(sqlite3_file *file)
{
	return 0;
}

static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	enum shim_failure failure = shim.failure;

	if (extend && strikes(true))
		return failure == SHIM_IO ? SQLITE_IOERR_SHMMAP : SQLITE_IOERR_SHMSIZE;
	return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shm_unmap(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

/* Version 2: no memory mapping of the file, which would go around us. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

/* The VFS */

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
		    int *ret_flags)
{
	struct shim_file *self = shim_of(file);
	int rc;

	file->pMethods = NULL;
	if (strikes(false))
		return SQLITE_CANTOPEN;
	self->image = NULL;
	self->real = (sqlite3_file *)(void *)(self + 1);
	rc = shim.real->xOpen(shim.real, path, self->real, flags, ret_flags);
	if (rc != SQLITE_OK)
		return rc;
	file->pMethods = &methods;
	if (shim.holding && path && !(flags & SQLITE_OPEN_DELETEONCLOSE))
		self->image = image_load(path, self->real);
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
	if (strikes(false) || shim.off)
		return SQLITE_IOERR_DELETE;
	image_forget(path);
	return shim.real->xDelete(shim.real, path, sync_dir);
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
	const struct image *image = image_find(path);

	if (image && flags == SQLITE_ACCESS_EXISTS) {
		*ret = image->size > 0;
		return SQLITE_OK;
	}
	return shim.real->xAccess(shim.real, path, flags, ret);
}

void shim_install(void)
{
	if (shim.real)
		return;
	shim.real = sqlite3_vfs_find(NULL);
	shim.vfs = *shim.real;
	shim.vfs.zName = "shim";
	shim.vfs.pNext = NULL;
	shim.vfs.szOsFile = (int)sizeof(struct shim_file) + shim.real->szOsFile;
	shim.vfs.xOpen = vfs_open;
	shim.vfs.xDelete = vfs_delete;
	shim.vfs.xAccess = vfs_access;
	sqlite3_vfs_register(&shim.vfs, 1);
}

void shim_remove(void)
{
	sqlite3_vfs_unregister(&shim.vfs);
	while (shim.images)
		image_forget(shim.images->path);
	memset(&shim, 0, sizeof(shim));
}

/* Power */

void shim_hold(void)
{
	shim.holding = true;
}

void shim_power_off(void)
{
	shim.off = true;
}

static void survive(const struct image *image, unsigned *seed)
{
	int fd = open(image->path, O_WRONLY | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && *seed && i * SECTOR < image->size; i++) {
		size_t left = image->size - i * SECTOR, n = left < SECTOR ? left : SECTOR;

		if (image->dirty[i] && rand_r(seed) % 2 &&
		    pwrite(fd, image->data + i * SECTOR, n, (off_t)(i * SECTOR)) != (ssize_t)n)
			abort();
	}
	if (fd >= 0)
		close(fd);
}

void shim_power_on(unsigned seed)
{
	while (shim.images) {
		struct image *image = shim.images;
		char shared[4096];

		survive(image, &seed);
		/* Memory that processes shared is gone. */
		snprintf(shared, sizeof(shared), "%s-shm", image->path);
		unlink(shared);
		shim.images = image->next;
		image_free(image);
	}
	shim.off = shim.holding = false;
}
