#include "service/context.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/process.h"
#include "service/engine.h"
#include "service/handover.h"
#include "store/worker_store.h"

#define HOME_KEY "codex_home"

char *ccp_state_path(const struct codexcp *cp, const char *name)
{
	return ccp_path_join(cp->config->state_dir, name);
}

char *ccp_state_lock_path(const struct codexcp *cp)
{
	return ccp_asprintf("%s.worker.lock", cp->config->state_db_path);
}

/* Each database has its own. The one of the usual name keeps the place that it always had, where
 * programs of earlier versions look for it. */
char *ccp_state_run_dir(const struct codexcp *cp)
{
	const char *database = cp->config->state_db_path;

	return ccp_streq(ccp_path_base(database), CCP_STATE_DB_NAME)
		       ? ccp_state_path(cp, "run")
		       : ccp_asprintf("%s.run", database);
}

static const char *way_out(const char *reason)
{
	return ccp_streq(reason, "full") ? "; free space on its file system"
	       : ccp_streq(reason, "read_only") || ccp_streq(reason, "cannot_open")
		       ? "; make it usable, or set CODEX_MCP_STATE_DB to another place"
		       : "";
}

/* What the system said about a place is about the state: no failure of this program. */
static int place_failed(const char *path, const struct codexcp_error *failure,
			struct codexcp_error *err)
{
	const char *said = ccp_json_str(failure->details, "reason");
	const char *reason = said ? said : "cannot_open";

	if (failure->code == CODEXCP_E_INTERNAL || failure->code == CODEXCP_E_STATE_UNAVAILABLE) {
		ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE, "%s%s", failure->message,
			 way_out(reason));
		ccp_error_add_str(err, "path", path);
		ccp_error_add_str(err, "reason", reason);
		return CODEXCP_E_STATE_UNAVAILABLE;
	}
	return ccp_fail_copy(err, failure);
}

static int check_place(const struct codexcp *cp, struct codexcp_error *err)
{
	const struct ccp_config *config = cp->config;
	_cleanup_error_ struct codexcp_error failure = { 0 };
	int r = ccp_dir_check_private(config->state_dir, &failure);

	if (r == 0 && config->network_file_system == CCP_NETWORK_FS_REFUSE)
		r = ccp_dir_check_local(config->state_dir, &failure);
	return r < 0 ? place_failed(config->state_dir, &failure, err) : 0;
}

/* What cannot even be looked at. */
static int fail_stat(const char *path, struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error failure = { 0 };

	(void)ccp_fail_errno(&failure, errno, "cannot use %s", path);
	return place_failed(path, &failure, err);
}

int ccp_state_check_place(const struct codexcp *cp, struct codexcp_error *err)
{
	const char *dir = cp->config->state_dir;
	struct stat st;
	int r;

	if (stat(dir, &st) < 0)
		return errno == ENOENT ? 0 : fail_stat(dir, err);
	r = check_place(cp, err);
	return r < 0 ? r : 1;
}

static int make_dir(const char *path, struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error failure = { 0 };

	return ccp_dir_make(path, 0700, &failure) < 0 ? place_failed(path, &failure, err) : 0;
}

int ccp_state_prepare(struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_free_ char *run = ccp_state_run_dir(cp),
			    *log = ccp_state_path(cp, CCP_STATE_LOG_DIR);
	int r = run && log ? make_dir(cp->config->state_dir, err) : ccp_fail_oom(err);

	if (r == 0)
		r = check_place(cp, err);
	if (r == 0)
		r = make_dir(run, err);
	return r < 0 ? r : make_dir(log, err);
}

/* SQLite would make it with the umask's mode. */
static int make_database_file(struct codexcp *cp, struct codexcp_error *err)
{
	const char *path = cp->config->state_db_path;
	_cleanup_error_ struct codexcp_error failure = { 0 };
	_cleanup_close_ int fd = ccp_file_open(path, O_RDWR | O_CREAT, 0600, &failure);

	return fd < 0 ? place_failed(path, &failure, err) : 0;
}

/*
 * An older program's database is migrated by whoever holds the worker lock: this engine, or anybody
 * for the moment that it takes when no worker runs.
 */
static int open_migrating(struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_free_ char *lock = ccp_state_lock_path(cp);
	_cleanup_close_ int fd = -1;
	int r = 1;

	if (!cp->engine || !ccp_engine_has_lock(cp->engine))
		r = lock ? ccp_lock_try(lock, &fd, err) : ccp_fail_oom(err);
	if (r == 0)
		return ccp_handover_ask(cp, err);
	return r < 0 ? r : ccp_db_open(cp->config->state_db_path, CCP_DB_MIGRATE, &cp->db, err);
}

static bool is_older(int r, const struct codexcp_error *err)
{
	return r == CODEXCP_E_STATE_BUSY &&
	       ccp_streq(ccp_json_str(err->details, "reason"), CCP_DB_OLDER_SCHEMA);
}

static int open_database(struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error failure = { 0 };
	int r = ccp_state_prepare(cp, &failure);

	if (r == 0)
		r = make_database_file(cp, &failure);
	if (r == 0)
		r = ccp_db_open(cp->config->state_db_path, CCP_DB_WRITE, &cp->db, &failure);
	if (is_older(r, &failure))
		return open_migrating(cp, err);
	return r < 0 ? ccp_fail_copy(err, &failure) : 0;
}

/* What has happened waits in memory to be written. Whoever is connected can say so; the database
 * cannot. */
static void on_trouble(const struct codexcp_error *why, void *data)
{
	struct codexcp *cp = data;

	codexcp_error_done(&cp->state_trouble);
	if (why)
		ccp_fail_copy(&cp->state_trouble, why);
	if (why)
		ccp_log(CCP_LOG_ERROR, "the state cannot be written", "code",
			codexcp_error_name(why->code), "why", why->message, NULL);
	else
		ccp_log(CCP_LOG_INFO, "the state can be written again", NULL);
	if (cp->engine)
		ccp_engine_tell_trouble(cp->engine);
}

bool ccp_state_refresh(struct codexcp *cp)
{
	if (!cp->reader || !ccp_db_is_outdated(cp->reader))
		return false;
	ccp_db_close(TAKE_PTR(cp->reader));
	return true;
}

int ccp_state_new_txq(struct codexcp *cp, struct ccp_txq **ret_txq, struct codexcp_error *err)
{
	int r = ccp_txq_new(cp->loop, cp->db, ret_txq, err);

	if (r == 0)
		ccp_txq_on_trouble(*ret_txq, on_trouble, cp);
	return r;
}

int ccp_state_open(struct codexcp *cp, struct codexcp_error *err)
{
	struct ccp_db *reader = NULL;
	int r;

	(void)ccp_state_refresh(cp);
	r = cp->db ? 0 : open_database(cp, err);
	if (r == 0 && !cp->txq)
		r = ccp_state_new_txq(cp, &cp->txq, err);
	if (r == 0)
		r = ccp_state_reader(cp, &reader, err);
	return CCP_MIN(r, 0);
}

/* 1 open, 0 there is no database. */
static int open_reader(struct codexcp *cp, struct codexcp_error *err)
{
	const char *path = cp->config->state_db_path;
	struct stat st;
	int r = ccp_state_check_place(cp, err);

	if (r <= 0)
		return r;
	/* Nothing was ever submitted: a read does not make a database. */
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail_stat(path, err);
	if (st.st_size == 0)
		return 0;
	r = ccp_db_open(path, CCP_DB_READ, &cp->reader, err);
	return r < 0 ? r : 1;
}

int ccp_state_reader(struct codexcp *cp, struct ccp_db **ret_db, struct codexcp_error *err)
{
	int r = cp->reader ? 1 : open_reader(cp, err);

	if (r == 1)
		*ret_db = cp->reader;
	return r;
}

/* A home and a link to it are the same. */
static char *canonical_home(const struct ccp_config *config)
{
	char *home = NULL;

	return ccp_path_canonical(config->codex_home, &home, NULL) == 0
		       ? home
		       : strdup(config->codex_home);
}

int ccp_state_matches_home(struct ccp_db *db, const struct ccp_config *config,
			   struct codexcp_error *err)
{
	_cleanup_free_ char *home = NULL, *own = canonical_home(config);
	int r = own ? ccp_meta_get(db, HOME_KEY, &home, err) : ccp_fail_oom(err);

	if (r <= 0 || ccp_streq(home, own))
		return r;
	ccp_fail(err, CODEXCP_E_CONFIG_MISMATCH,
		 "the state database %s serves the Codex home %s, this process uses %s; give each "
		 "Codex home a state database of its own (CODEX_MCP_STATE_DB)",
		 ccp_db_path(db), home, own);
	ccp_error_add_str(err, "databaseCodexHome", home);
	ccp_error_add_str(err, "processCodexHome", own);
	return CODEXCP_E_CONFIG_MISMATCH;
}

int ccp_state_check_home(struct ccp_db *db, const struct ccp_config *config,
			 struct codexcp_error *err)
{
	_cleanup_free_ char *own = NULL;
	int r = ccp_state_matches_home(db, config, err);

	if (r)
		return CCP_MIN(r, 0);
	own = canonical_home(config);
	return own ? ccp_meta_set(db, HOME_KEY, own, err) : ccp_fail_oom(err);
}
