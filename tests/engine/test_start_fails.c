/*
 * An inline engine that fails after it has taken over what was left: it ends with what it had to
 * write, and the next one does it all.
 *
 * The build has the linker send ccp_upkeep_new() here.
 */
#include "domain/upkeep.h"
#include "engine_env.h"

int __real_ccp_upkeep_new(const struct ccp_upkeep_options *options, struct ccp_upkeep **ret_upkeep,
			  struct codexcp_error *err);
int __wrap_ccp_upkeep_new(const struct ccp_upkeep_options *options, struct ccp_upkeep **ret_upkeep,
			  struct codexcp_error *err);

/* The database that is locked when the next upkeep fails; NULL: none does. */
static const char *to_lock;
static sqlite3 *holder;

int __wrap_ccp_upkeep_new(const struct ccp_upkeep_options *options, struct ccp_upkeep **ret_upkeep,
			  struct codexcp_error *err)
{
	if (!to_lock)
		return __real_ccp_upkeep_new(options, ret_upkeep, err);
	holder = db_lock(to_lock);
	to_lock = NULL;
	return ccp_fail(err, CODEXCP_E_INTERNAL, "no upkeep today");
}

/* An operation that an earlier worker has claimed. */
static char *leave_claimed(struct engine_env *e)
{
	struct codexcp *cp;
	char *op;

	env_script(e, "once\nexpect initialize\nawait never\n");
	cp = env_open(e, CODEXCP_MODE_INLINE);
	op = env_submit(e, cp, NULL);
	env_reach(e, cp, op, "phase", "claimed");
	env_wait_count(e, "initialize", 1);
	env_close(e, cp);
	return op;
}

static bool has_failed(struct codexcp *cp)
{
	json_auto_t *status = env_call(cp, "codex_get_worker_status", NULL);
	_cleanup_free_ char *text = json_dumps(status, 0);

	return strstr(text, "no upkeep today") != NULL;
}

START_TEST(test_fails_after_adopting)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	env_setup(&e);
	op = leave_claimed(&e);
	to_lock = e.state_db;
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	while (!has_failed(cp)) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&e);
	}
	db_unlock(holder);
	codexcp_look_for_work(cp);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("start_fails", test_fails_after_adopting)
