#include "store/worker_store.h"

#define CCP_ROW struct ccp_worker_row
static const struct ccp_column worker_columns[] = { CCP_WORKER_COLUMNS(CCP_ROW_TEXT_COLUMN,
								       CCP_ROW_INT_COLUMN) };
#undef CCP_ROW
#define CCP_ROW struct ccp_instance_row
static const struct ccp_column instance_columns[] = { CCP_INSTANCE_COLUMNS(CCP_ROW_TEXT_COLUMN,
									   CCP_ROW_INT_COLUMN) };
#undef CCP_ROW
#define CCP_ROW struct ccp_command
static const struct ccp_column command_columns[] = { CCP_COMMAND_COLUMNS(CCP_ROW_TEXT_COLUMN,
									 CCP_ROW_INT_COLUMN) };
#undef CCP_ROW

static const struct ccp_table workers = CCP_TABLE(worker_columns, struct ccp_worker_row);
static const struct ccp_table instances = CCP_TABLE(instance_columns, struct ccp_instance_row);
static const struct ccp_table commands = CCP_TABLE(command_columns, struct ccp_command);

void ccp_worker_row_done(struct ccp_worker_row *worker)
{
	ccp_row_done(workers.columns, workers.n, worker);
}

int ccp_worker_put(struct ccp_db *db, const struct ccp_worker_row *worker,
		   struct codexcp_error *err)
{
	return ccp_table_put(db, CCP_SQL_WORKER_PUT, &workers, worker, err);
}

int ccp_worker_latest(struct ccp_db *db, struct ccp_worker_row *ret_worker,
		      struct codexcp_error *err)
{
	return ccp_table_get(db, CCP_SQL_WORKER_LATEST, &workers, NULL, NULL, ret_worker, err);
}

static int each_newest(struct ccp_db *db, enum ccp_sql sql, const struct ccp_table *table,
		       int64_t limit, ccp_row_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, sql, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, limit);
	return ccp_table_each(&stmt, table, fn, data, err);
}

int ccp_workers_each(struct ccp_db *db, int64_t limit, ccp_row_fn fn, void *data,
		     struct codexcp_error *err)
{
	return each_newest(db, CCP_SQL_WORKERS_NEWEST, &workers, limit, fn, data, err);
}

void ccp_instance_row_done(struct ccp_instance_row *instance)
{
	ccp_row_done(instances.columns, instances.n, instance);
}

int ccp_instance_put(struct ccp_db *db, const struct ccp_instance_row *instance,
		     struct codexcp_error *err)
{
	return ccp_table_put(db, CCP_SQL_INSTANCE_PUT, &instances, instance, err);
}

int ccp_instance_get(struct ccp_db *db, const char *id, struct ccp_instance_row *ret_instance,
		     struct codexcp_error *err)
{
	return ccp_table_get(db, CCP_SQL_INSTANCE_GET, &instances, id, NULL, ret_instance, err);
}

int ccp_instance_end(struct ccp_db *db, const char *id, int64_t at, const char *reason,
		     struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_INSTANCE_END, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, id);
	ccp_bind_int(&stmt, 2, at);
	ccp_bind_text(&stmt, 3, reason);
	return ccp_stmt_run(&stmt, err);
}

int ccp_instance_each_open(struct ccp_db *db, ccp_row_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_INSTANCE_OPEN, &stmt, err);

	return r < 0 ? r : ccp_table_each(&stmt, &instances, fn, data, err);
}

void ccp_command_done(struct ccp_command *command)
{
	ccp_row_done(commands.columns, commands.n, command);
}

int ccp_command_insert(struct ccp_db *db, const struct ccp_command *command,
		       struct codexcp_error *err)
{
	return ccp_table_put(db, CCP_SQL_COMMAND_INSERT, &commands, command, err);
}

int ccp_command_get(struct ccp_db *db, const char *id, struct ccp_command *ret_command,
		    struct codexcp_error *err)
{
	return ccp_table_get(db, CCP_SQL_COMMAND_GET, &commands, id, NULL, ret_command, err);
}

int ccp_command_next(struct ccp_db *db, struct ccp_command *ret_command, struct codexcp_error *err)
{
	return ccp_table_get(db, CCP_SQL_COMMAND_NEXT, &commands, NULL, NULL, ret_command, err);
}

int ccp_commands_each(struct ccp_db *db, int64_t limit, ccp_row_fn fn, void *data,
		      struct codexcp_error *err)
{
	return each_newest(db, CCP_SQL_COMMANDS_NEWEST, &commands, limit, fn, data, err);
}

int ccp_command_update(struct ccp_db *db, const struct ccp_command *command,
		       struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_COMMAND_UPDATE, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, command->id);
	ccp_bind_text(&stmt, 2, command->status);
	ccp_bind_text(&stmt, 3, command->result);
	ccp_bind_text(&stmt, 4, command->error);
	ccp_bind_int(&stmt, 5, command->updated_at);
	ccp_bind_int(&stmt, 6, command->completed_at);
	r = ccp_stmt_run(&stmt, err);
	return r < 0 ? r : ccp_db_changes(db);
}

int ccp_command_requeue(struct ccp_db *db, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_COMMAND_REQUEUE, &stmt, err);

	return r < 0 ? r : ccp_stmt_run(&stmt, err);
}

int ccp_meta_get(struct ccp_db *db, const char *key, char **ret_value, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	_cleanup_free_ char *value = NULL;
	int r = ccp_stmt_open(db, CCP_SQL_META_GET, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, key);
	r = ccp_stmt_step(&stmt, err);
	if (r != 1)
		return r;
	r = ccp_row_set(&value, ccp_column_text(&stmt, 0), err);
	if (r < 0)
		return r;
	*ret_value = TAKE_PTR(value);
	return 1;
}

int ccp_meta_set(struct ccp_db *db, const char *key, const char *value, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_META_SET, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, key);
	ccp_bind_text(&stmt, 2, value);
	return ccp_stmt_run(&stmt, err);
}

int ccp_meta_next_epoch(struct ccp_db *db, int64_t *ret_epoch, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_META_NEXT_EPOCH, &stmt, err);

	if (r == 0)
		r = ccp_stmt_step(&stmt, err);
	if (r < 0)
		return r;
	*ret_epoch = ccp_column_int(&stmt, 0);
	/* RETURNING statements take effect when they are stepped to the end. */
	return CCP_MIN(ccp_stmt_step(&stmt, err), 0);
}
