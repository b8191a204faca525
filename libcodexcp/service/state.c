#include "service/context.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
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

int ccp_state_prepare(struct codexcp *cp, struct codexcp_error *err)
{
	static const char *const below[] = { CCP_STATE_RUN_DIR, CCP_STATE_LOG_DIR };
	int r = ccp_dir_make(cp->config->state_dir, 0700, err);

	if (r == 0)
		r = ccp_dir_check_private(cp->config->state_dir, err);
	if (r == 0)
		r = ccp_dir_check_local(cp->config->state_dir, err);
	for (size_t i = 0; r == 0 && i < CCP_ARRAY_SIZE(below); i++) {
		_cleanup_free_ char *path = ccp_state_path(cp, below[i]);

		r = path ? ccp_dir_make(path, 0700, err) : ccp_fail_oom(err);
	}
	return r;
}

/* SQLite would make it with the umask's mode. */
static int make_database_file(struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_close_ int fd = ccp_file_open(cp->config->state_db_path, O_RDWR | O_CREAT, 0600,
					       err);

	return CCP_MIN(fd, 0);
}

static int open_database(struct codexcp *cp, struct codexcp_error *err)
{
	int r = ccp_state_prepare(cp, err);

	if (r == 0)
		r = make_database_file(cp, err);
	return r < 0 ? r : ccp_db_open(cp->config->state_db_path, CCP_DB_WRITE, &cp->db, err);
}

int ccp_state_open(struct codexcp *cp, struct codexcp_error *err)
{
	struct ccp_db *reader = NULL;
	int r = cp->db ? 0 : open_database(cp, err);

	if (r == 0 && !cp->txq)
		r = ccp_txq_new(cp->loop, cp->db, &cp->txq, err);
	if (r == 0)
		r = ccp_state_reader(cp, &reader, err);
	return CCP_MIN(r, 0);
}

int ccp_state_reader(struct codexcp *cp, struct ccp_db **ret_db, struct codexcp_error *err)
{
	struct stat st;
	int r;

	if (!cp->reader) {
		/* Nothing was ever submitted: a read does not make a database. */
		if (stat(cp->config->state_db_path, &st) < 0 || st.st_size == 0)
			return 0;
		r = ccp_dir_check_private(cp->config->state_dir, err);
		if (r == 0)
			r = ccp_db_open(cp->config->state_db_path, CCP_DB_READ, &cp->reader, err);
		if (r < 0)
			return r;
	}
	*ret_db = cp->reader;
	return 1;
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
