#include "admin/json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"

#define FILE_BYTES_MAX  (16 * 1024 * 1024)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define BACKUPS_MAX     1000
#define STAMP_SIZE      32
/* Digits with which a real number is printed: enough for what people write, and for any number. */
#define DIGITS_SHORT 15
#define DIGITS_LONG  17

void json_file_done(struct json_file *file)
{
	free(file->path);
	free(file->text);
	json_decref(file->before);
	json_decref(file->value);
}

static int find_path(struct json_file *file, const char *path, struct codexcp_error *err)
{
	struct stat st;

	file->mode = 0600;
	if (stat(path, &st) < 0)
		return ccp_strdup_opt(path, &file->path) ? 0 : ccp_fail_oom(err);
	file->mode = st.st_mode & 07777;
	return ccp_path_canonical(path, &file->path, err);
}

static int parse(struct json_file *file, struct codexcp_error *err)
{
	size_t skip = ccp_str_has_prefix(file->text, BYTE_ORDER_MARK) ? strlen(BYTE_ORDER_MARK) : 0;
	int r = ccp_json_parse(file->text + skip, file->len - skip, CCP_JSON_ALLOW_NUL,
			       &file->value, err);

	if (r == 0 && !json_is_object(file->value))
		r = ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "not a JSON object");
	if (r == CODEXCP_E_INVALID_ARGUMENT)
		ccp_error_prefix(err, "%s is left as it is, because it is no JSON object",
				 file->path);
	return r;
}

int json_file_load(const char *path, struct json_file *ret_file, struct codexcp_error *err)
{
	_cleanup_(json_file_done) struct json_file file = { 0 };
	int r = find_path(&file, path, err);

	if (r == 0)
		r = ccp_file_read(file.path, FILE_BYTES_MAX, &file.text, &file.len, err);
	if (r == 1)
		r = parse(&file, err);
	else if (r == 0)
		file.value = json_object();
	if (r < 0)
		return r;
	file.before = json_deep_copy(file.value);
	if (!file.before)
		return ccp_fail_oom(err);
	*ret_file = file;
	file = (struct json_file){ 0 };
	return 0;
}

/* As few digits as bring the same numbers back. */
static char *print(const json_t *value)
{
	for (size_t digits = DIGITS_SHORT; digits <= DIGITS_LONG; digits++) {
		json_auto_t *again = NULL;
		_cleanup_free_ char *text = json_dumps(value, JSON_INDENT(2) |
								      JSON_REAL_PRECISION(digits));

		if (!text)
			return NULL;
		again = json_loads(text, JSON_ALLOW_NUL, NULL);
		if (digits == DIGITS_LONG || json_equal(value, again))
			return ccp_asprintf("%s\n", text);
	}
	return NULL;
}

static void stamp(char out[static STAMP_SIZE])
{
	time_t now = (time_t)(ccp_clock_wall(ccp_clock_system()) / 1000);
	struct tm tm;

	strftime(out, STAMP_SIZE, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
}

/* A name that is ours from now on: 1; 0: somebody has it. */
static int reserve(const char *path, struct codexcp_error *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		return 1;
	return errno == EEXIST ? 0 : ccp_fail_errno(err, errno, "cannot make the backup %s", path);
}

static int reserve_backup(const char *path, char **ret_backup, struct codexcp_error *err)
{
	char when[STAMP_SIZE], number[STAMP_SIZE] = "";

	stamp(when);
	for (int i = 2; i < BACKUPS_MAX; i++) {
		_cleanup_free_ char *backup = ccp_asprintf("%s.codex-control-plane-backup-%s%s",
							   path, when, number);
		int r = backup ? reserve(backup, err) : ccp_fail_oom(err);

		if (r == 1)
			*ret_backup = TAKE_PTR(backup);
		if (r)
			return CCP_MIN(r, 0);
		snprintf(number, sizeof(number), "-%d", i);
	}
	return ccp_fail(err, CODEXCP_E_INTERNAL, "%s has too many backups of this second", path);
}

static int back_up(const struct json_file *file, char **ret_backup, struct codexcp_error *err)
{
	_cleanup_free_ char *backup = NULL;
	int r = reserve_backup(file->path, &backup, err);

	if (r == 0)
		r = ccp_file_replace(backup, file->text, file->len, file->mode, err);
	if (r == 0)
		*ret_backup = TAKE_PTR(backup);
	return r;
}

int json_file_save(const struct json_file *file, char **ret_backup, struct codexcp_error *err)
{
	_cleanup_free_ char *text = NULL, *backup = NULL;
	int r;

	if (file->text && json_equal(file->before, file->value))
		return 0;
	text = print(file->value);
	if (!text)
		return ccp_fail_oom(err);
	r = file->text ? back_up(file, &backup, err) : 0;
	if (r == 0)
		r = ccp_file_replace(file->path, text, strlen(text), file->mode, err);
	if (r < 0)
		return r;
	*ret_backup = TAKE_PTR(backup);
	return 1;
}
