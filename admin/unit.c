#include "admin/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/strbuf.h"

#define UNIT_MAX (1024 * 1024)
/* Beside what running work is given. */
#define STOP_SECONDS 15
#define MARK         "# Written by " ADMIN_PROGRAM " worker enable."

static const char *variable(char *const *environment, const char *name)
{
	size_t n = strlen(name);

	for (; *environment; environment++)
		if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
			return (*environment)[n + 1] ? *environment + n + 1 : NULL;
	return NULL;
}

/* Where */

static int find_path(char *const *environment, char **ret_path, struct codexcp_error *err)
{
	const char *config = variable(environment, "XDG_CONFIG_HOME");
	const char *home = variable(environment, "HOME");

	if (config && *config == '/')
		*ret_path = ccp_asprintf("%s/systemd/user/" UNIT_NAME, config);
	else if (home && *home == '/')
		*ret_path = ccp_asprintf("%s/.config/systemd/user/" UNIT_NAME, home);
	else
		return ccp_fail(
			err, CODEXCP_E_CONFIG_INVALID,
			"a user unit stands in the home directory, and HOME does not name one");
	return *ret_path ? 0 : ccp_fail_oom(err);
}

/* The unit needs a path; what a name means is decided here and now. */
static char *find_program(const char *name, const char *dirs)
{
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");
		_cleanup_free_ char *path = ccp_asprintf("%.*s/%s", (int)len, dirs, name);

		if (path && *path == '/' && access(path, X_OK) == 0)
			return TAKE_PTR(path);
		dirs += len + (dirs[len] == ':');
	}
	return NULL;
}

static int find_server(const struct admin_setup *setup, char **ret_server,
		       struct codexcp_error *err)
{
	const char *server = ccp_json_str(setup->config, "server");

	*ret_server = strchr(server, '/')
			      ? strdup(server)
			      : find_program(server, variable(setup->environment, "PATH"));
	if (*ret_server && access(*ret_server, X_OK) == 0)
		return 0;
	return ccp_fail(err, CODEXCP_E_CONFIG_INVALID,
			"%s cannot be executed; name the server with --server", server);
}

/* What */

/* What would begin another line, or go on in the next. */
static int check_text(const char *name, const char *text, struct codexcp_error *err)
{
	const char *what = NULL;
	size_t len = text ? strlen(text) : 0;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
			what = "has a control character in it";
	if (len && text[len - 1] == '\\')
		what = "ends with a backslash";
	return what ? ccp_fail(err, CODEXCP_E_CONFIG_INVALID,
			       "%s %s, and so cannot stand in a unit of systemd", name, what)
		    : 0;
}

static int check_texts(const struct admin_setup *setup, const char *server,
		       struct codexcp_error *err)
{
	const char *name;
	json_t *value;
	int r = check_text("PATH", variable(setup->environment, "PATH"), err);

	json_object_foreach (ccp_json_obj(setup->config, "environment"), name, value)
		if (r == 0)
			r = check_text(name, json_string_value(value), err);
	if (r == 0)
		r = check_text("the path of the server", server, err);
	return r < 0 ? r
		     : check_text("the path of the worker's log",
				  ccp_json_str(setup->config, "workerLog"), err);
}

/* A word in quotes. As the program and in Environment=, where it stands here, `$` is only that. */
static void append_quoted(struct ccp_strbuf *sb, const char *text)
{
	ccp_strbuf_append_char(sb, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ccp_strbuf_append_char(sb, '\\');
		if (*text == '%')
			ccp_strbuf_append_char(sb, *text);
		ccp_strbuf_append_char(sb, *text);
	}
	ccp_strbuf_append_char(sb, '"');
}

static void append_variable(struct ccp_strbuf *sb, const char *name, const char *value)
{
	_cleanup_free_ char *text = value ? ccp_asprintf("%s=%s", name, value) : NULL;

	if (!text)
		return;
	ccp_strbuf_append(sb, "Environment=");
	append_quoted(sb, text);
	ccp_strbuf_append_char(sb, '\n');
}

/* The rest of a line is a path, without quotes. */
static void append_path(struct ccp_strbuf *sb, const char *path)
{
	for (; *path; path++)
		ccp_strbuf_append(sb, *path == '%' ? "%%" : (const char[]){ *path, '\0' });
	ccp_strbuf_append_char(sb, '\n');
}

static void append_environment(struct ccp_strbuf *sb, const struct admin_setup *setup)
{
	const char *name;
	json_t *value;

	ccp_strbuf_append(sb, "# Codex and the commands that it runs are found here:\n");
	append_variable(sb, "PATH", variable(setup->environment, "PATH"));
	json_object_foreach (ccp_json_obj(setup->config, "environment"), name, value)
		append_variable(sb, name, json_string_value(value));
	ccp_strbuf_append(sb, "# Keys and whatever else Codex needs, as NAME=value lines:\n"
			      "EnvironmentFile=-%E/codex-control-plane-mcp/worker.env\n");
}

static char *make_text(const struct admin_setup *setup, const char *server)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(UNIT_MAX);
	const json_t *drain = ccp_json_path(setup->config, "options.worker_drain_seconds");

	ccp_strbuf_append(&sb, MARK " It replaces this file.\n"
				    "[Unit]\nDescription=The worker that runs tasks of Codex\n\n"
				    "[Service]\nType=exec\nExecStart=");
	append_quoted(&sb, server);
	ccp_strbuf_append(&sb, " worker --stay\n");
	append_environment(&sb, setup);
	ccp_strbuf_append(&sb, "# One that fails, or makes room for a newer version, is started "
			       "again; one that was\n# told to end is not.\n"
			       "Restart=on-failure\nRestartSec=1\n"
			       "# app-server goes on with its turns when the worker is replaced.\n"
			       "KillMode=process\n");
	ccp_strbuf_appendf(&sb, "TimeoutStopSec=%" PRId64 "\n",
			   (int64_t)json_integer_value(drain) + STOP_SECONDS);
	ccp_strbuf_append(&sb, "StandardOutput=null\nStandardError=append:");
	append_path(&sb, ccp_json_str(setup->config, "workerLog"));
	ccp_strbuf_append(&sb, "\n[Install]\nWantedBy=default.target\n");
	return ccp_strbuf_take(&sb);
}

int unit_init(struct unit *unit, const struct admin_setup *setup, struct codexcp_error *err)
{
	int r = find_path(setup->environment, &unit->path, err);

	return r < 0 ? r : CCP_MIN(ccp_file_read(unit->path, UNIT_MAX, &unit->found, NULL, err), 0);
}

int unit_compose(struct unit *unit, const struct admin_setup *setup, struct codexcp_error *err)
{
	_cleanup_free_ char *server = NULL;
	int r = find_server(setup, &server, err);

	if (r == 0)
		r = check_texts(setup, server, err);
	if (r < 0)
		return r;
	unit->text = make_text(setup, server);
	return unit->text ? 0 : ccp_fail_oom(err);
}

bool unit_is_current(const struct unit *unit)
{
	return unit->text && ccp_streq(unit->found, unit->text);
}

static int check_ours(const struct unit *unit, struct codexcp_error *err)
{
	if (!unit->found || ccp_str_has_prefix(unit->found, MARK))
		return 0;
	return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT,
			"%s was written by somebody else and is left as it is; move it away",
			unit->path);
}

int unit_write(const struct unit *unit, struct codexcp_error *err)
{
	_cleanup_free_ char *dir = ccp_path_parent(unit->path);
	int r = check_ours(unit, err);

	if (r < 0 || unit_is_current(unit))
		return r;
	r = dir ? ccp_dir_make(dir, 0755, err) : ccp_fail_oom(err);
	if (r == 0)
		r = ccp_file_replace(unit->path, unit->text, strlen(unit->text), 0644, err);
	return r < 0 ? r : 1;
}

int unit_remove(const struct unit *unit, struct codexcp_error *err)
{
	int r = check_ours(unit, err);

	if (r < 0 || !unit->found)
		return r;
	return unlink(unit->path) == 0 || errno == ENOENT
		       ? 1
		       : ccp_fail_errno(err, errno, "cannot remove %s", unit->path);
}

void unit_done(struct unit *unit)
{
	free(unit->path);
	free(unit->text);
	free(unit->found);
}
