#include "store/op_store.h"

#define CCP_ROW struct ccp_op
static const struct ccp_column fixed_columns[] = { CCP_OP_FIXED_COLUMNS(CCP_ROW_TEXT_COLUMN,
									CCP_ROW_INT_COLUMN) };
static const struct ccp_column state_columns[] = { CCP_OP_STATE_COLUMNS(CCP_ROW_TEXT_COLUMN,
									CCP_ROW_INT_COLUMN) };
static const struct ccp_column queue_columns[] = { CCP_OP_QUEUE_COLUMNS(CCP_ROW_TEXT_COLUMN,
									CCP_ROW_INT_COLUMN) };
#undef CCP_ROW

#define N_FIXED ((int)CCP_ARRAY_SIZE(fixed_columns))
#define N_STATE ((int)CCP_ARRAY_SIZE(state_columns))

void ccp_op_done(struct ccp_op *op)
{
	ccp_row_done(fixed_columns, N_FIXED, op);
	ccp_row_done(state_columns, N_STATE, op);
}

void ccp_op_request_done(struct ccp_op_request *request)
{
	free(request->message);
	free(request->input_items);
	free(request->output_schema);
	free(request->arguments);
	*request = (struct ccp_op_request){ 0 };
}

static int insert_request(struct ccp_db *db, const char *id, const struct ccp_op_request *request,
			  struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_REQUEST_INSERT, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, id);
	ccp_bind_text(&stmt, 2, request->message);
	ccp_bind_text(&stmt, 3, request->input_items);
	ccp_bind_text(&stmt, 4, request->output_schema);
	ccp_bind_text(&stmt, 5, request->arguments);
	return ccp_stmt_run(&stmt, err);
}

static int touch_project(struct ccp_db *db, const struct ccp_op *op, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_PROJECT_TOUCH, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, op->project_path);
	ccp_bind_text(&stmt, 2, op->project_id);
	ccp_bind_int(&stmt, 3, op->created_at);
	return ccp_stmt_run(&stmt, err);
}

int ccp_op_insert(struct ccp_db *db, const struct ccp_op *op, const struct ccp_op_request *request,
		  struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_INSERT, &stmt, err);

	if (r < 0)
		return r;
	ccp_row_bind(&stmt, 1, fixed_columns, N_FIXED, op);
	ccp_row_bind(&stmt, 1 + N_FIXED, state_columns, N_STATE, op);
	ccp_bind_int(&stmt, 1 + N_FIXED + N_STATE, op->version);
	r = ccp_stmt_run(&stmt, err);
	if (r == 0)
		r = insert_request(db, op->id, request, err);
	return r < 0 ? r : touch_project(db, op, err);
}

int ccp_op_update(struct ccp_db *db, struct ccp_op *op, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_UPDATE, &stmt, err);

	if (r < 0)
		return r;
	ccp_row_bind(&stmt, 1, state_columns, N_STATE, op);
	ccp_bind_text(&stmt, 1 + N_STATE, op->id);
	ccp_bind_int(&stmt, 2 + N_STATE, op->version);
	r = ccp_stmt_run(&stmt, err);
	if (r < 0)
		return r;
	if (ccp_db_changes(db) == 0)
		return 0;
	op->version++;
	return 1;
}

static int read_op(const struct ccp_stmt *stmt, struct ccp_op *op, struct codexcp_error *err)
{
	int r = ccp_row_read(stmt, 0, fixed_columns, N_FIXED, op, err);

	if (r == 0)
		r = ccp_row_read(stmt, N_FIXED, state_columns, N_STATE, op, err);
	op->version = ccp_column_int(stmt, N_FIXED + N_STATE);
	return r;
}

/* The first row of a bound statement, which is closed. */
static int first_op(struct ccp_stmt *stmt, struct ccp_op *ret_op, struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op op = { 0 };
	int r = ccp_stmt_step(stmt, err), read = r == 1 ? read_op(stmt, &op, err) : 0;

	ccp_stmt_close(stmt);
	if (r != 1 || read < 0)
		return r < 0 ? r : read;
	*ret_op = op;
	op = (struct ccp_op){ 0 };
	return 1;
}

static int find_op(struct ccp_db *db, enum ccp_sql sql, const char *first, const char *second,
		   struct ccp_op *ret_op, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, sql, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, first);
	if (second)
		ccp_bind_text(&stmt, 2, second);
	return first_op(&stmt, ret_op, err);
}

int ccp_op_get(struct ccp_db *db, const char *id, struct ccp_op *ret_op, struct codexcp_error *err)
{
	return find_op(db, CCP_SQL_OPERATION_GET, id, NULL, ret_op, err);
}

int ccp_op_get_by_client_id(struct ccp_db *db, const char *client_request_id, struct ccp_op *ret_op,
			    struct codexcp_error *err)
{
	return find_op(db, CCP_SQL_OPERATION_BY_CLIENT_ID, client_request_id, NULL, ret_op, err);
}

int ccp_op_get_by_turn(struct ccp_db *db, const char *thread_id, const char *turn_id,
		       struct ccp_op *ret_op, struct codexcp_error *err)
{
	return find_op(db, CCP_SQL_OPERATION_BY_TURN, thread_id, turn_id, ret_op, err);
}

int ccp_op_get_thread_policy(struct ccp_db *db, const char *thread_id, struct ccp_op *ret_op,
			     struct codexcp_error *err)
{
	return find_op(db, CCP_SQL_OPERATION_THREAD_POLICY, thread_id, NULL, ret_op, err);
}

int ccp_op_find_completed_prompt(struct ccp_db *db, const char *project_path, const char *hash,
				 struct ccp_op *ret_op, struct codexcp_error *err)
{
	return find_op(db, CCP_SQL_OPERATION_COMPLETED_PROMPT, project_path, hash, ret_op, err);
}

int ccp_op_get_request(struct ccp_db *db, const char *id, struct ccp_op_request *ret_request,
		       struct codexcp_error *err)
{
	_cleanup_op_request_ struct ccp_op_request request = { 0 };
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	char **members[] = { &request.message, &request.input_items, &request.output_schema,
			     &request.arguments };
	int r = ccp_stmt_open(db, CCP_SQL_REQUEST_GET, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, id);
	r = ccp_stmt_step(&stmt, err);
	if (r != 1)
		return r;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(members); i++)
		if (ccp_row_set(members[i], ccp_column_text(&stmt, (int)i), err) < 0)
			return CODEXCP_E_NO_MEMORY;
	*ret_request = request;
	request = (struct ccp_op_request){ 0 };
	return 1;
}

/* Steps through a bound statement. */
static int each_op(struct ccp_stmt *stmt, ccp_op_fn fn, void *data, struct codexcp_error *err)
{
	int r = 0;

	while (r >= 0 && (r = ccp_stmt_step(stmt, err)) == 1) {
		_cleanup_op_ struct ccp_op op = { 0 };

		r = read_op(stmt, &op, err);
		if (r == 0 && fn(&op, data) != 0)
			return 0;
	}
	return r;
}

int ccp_op_each_active(struct ccp_db *db, ccp_op_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_ACTIVE, &stmt, err);

	return r < 0 ? r : each_op(&stmt, fn, data, err);
}

int ccp_op_each_same_prompt(struct ccp_db *db, const char *scope, const char *hash, ccp_op_fn fn,
			    void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_PROMPT, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, scope);
	ccp_bind_text(&stmt, 2, hash);
	return each_op(&stmt, fn, data, err);
}

int ccp_op_each_shape(struct ccp_db *db, const char *scope, int limit, ccp_shape_fn fn, void *data,
		      struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_PROMPT_SHAPES, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, scope);
	ccp_bind_int(&stmt, 2, limit);
	while ((r = ccp_stmt_step(&stmt, err)) == 1)
		if (fn(ccp_column_int(&stmt, 0), ccp_column_text(&stmt, 1), data) != 0)
			return 0;
	return r;
}

int ccp_op_with_prompt(struct ccp_db *db, int64_t seq, ccp_prompt_fn fn, void *data,
		       struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_PROMPT_TEXT, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, seq);
	r = ccp_stmt_step(&stmt, err);
	return r != 1 ? r
		      : fn(ccp_column_text(&stmt, 0), ccp_column_text(&stmt, 1),
			   ccp_column_text(&stmt, 2), data);
}

#define N_QUEUE     ((int)CCP_ARRAY_SIZE(queue_columns))
#define LANE_COLUMN N_QUEUE

int ccp_op_each_running(struct ccp_db *db, ccp_op_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_RUNNING, &stmt, err);

	while (r >= 0 && (r = ccp_stmt_step(&stmt, err)) == 1) {
		_cleanup_op_ struct ccp_op op = { 0 };

		r = ccp_row_read(&stmt, 0, queue_columns, N_QUEUE, &op, err);
		if (r == 0 && fn(&op, data) != 0)
			return 0;
	}
	return r;
}

/* The rows behind `lane` until fn has enough of one: 1 and its lane, or 0 when none are left. */
static int walk_lane(struct ccp_db *db, int64_t now, char **lane, ccp_queued_fn fn, void *data,
		     struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_QUEUED, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, *lane ? *lane : "");
	ccp_bind_int(&stmt, 2, now);
	while ((r = ccp_stmt_step(&stmt, err)) == 1) {
		_cleanup_op_ struct ccp_op op = { 0 };

		r = ccp_row_read(&stmt, 0, queue_columns, N_QUEUE, &op, err);
		if (r < 0)
			return r;
		if (fn(&op, ccp_column_int(&stmt, LANE_COLUMN + 1), data) == CCP_QUEUE_LANE_DONE) {
			r = ccp_row_set(lane, ccp_column_text(&stmt, LANE_COLUMN), err);
			return r < 0 ? r : 1;
		}
	}
	return r;
}

int ccp_op_each_queued(struct ccp_db *db, int64_t now, ccp_queued_fn fn, void *data,
		       struct codexcp_error *err)
{
	_cleanup_free_ char *lane = NULL;
	int r;

	while ((r = walk_lane(db, now, &lane, fn, data, err)) == 1)
		;
	return r;
}

int ccp_op_is_behind(struct ccp_db *db, const char *id, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_BEHIND, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, id);
	r = ccp_stmt_step(&stmt, err);
	return r != 1 ? r : ccp_column_int(&stmt, 0) != 0;
}

int ccp_op_last_begun(struct ccp_db *db, const char *thread_id, const char *but_id,
		      struct ccp_op *ret_op, struct codexcp_error *err)
{
	return find_op(db, CCP_SQL_OPERATION_LAST_BEGUN, thread_id, but_id, ret_op, err);
}

int ccp_op_each_in_queue(struct ccp_db *db, ccp_op_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_QUEUE, &stmt, err);

	return r < 0 ? r : each_op(&stmt, fn, data, err);
}

int ccp_op_next_due(struct ccp_db *db, int64_t now, int64_t *ret_at, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_NEXT_DUE, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, now);
	r = ccp_stmt_step(&stmt, err);
	if (r < 0)
		return r;
	*ret_at = r == 1 ? ccp_column_int(&stmt, 0) : 0;
	return 0;
}

int ccp_op_quota(struct ccp_db *db, struct ccp_op_quota *ret_quota, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_QUOTA, &stmt, err);

	if (r == 0)
		r = ccp_stmt_step(&stmt, err);
	if (r < 0)
		return r;
	*ret_quota = (struct ccp_op_quota){
		.waiting = ccp_column_int(&stmt, 0),
		.trying = ccp_column_int(&stmt, 1),
		.until = ccp_column_int(&stmt, 2),
		.most_waits = ccp_column_int(&stmt, 3),
	};
	return 0;
}

int ccp_op_each_waiting_for_quota(struct ccp_db *db, ccp_op_id_fn fn, void *data,
				  struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_WAITING_FOR_QUOTA, &stmt, err);

	while (r >= 0 && (r = ccp_stmt_step(&stmt, err)) == 1)
		if (fn(ccp_column_text(&stmt, 0), data) != 0)
			return 0;
	return r;
}

int ccp_op_count(struct ccp_db *db, struct ccp_op_counts *ret_counts, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_COUNT, &stmt, err);

	if (r == 0)
		r = ccp_stmt_step(&stmt, err);
	if (r < 0)
		return r;
	*ret_counts = (struct ccp_op_counts){
		.active = ccp_column_int(&stmt, 0),
		.queued = ccp_column_int(&stmt, 1),
		.waiting = ccp_column_int(&stmt, 2),
	};
	return 0;
}

int ccp_op_each_project(struct ccp_db *db, ccp_project_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_PROJECTS, &stmt, err);

	while (r >= 0 && (r = ccp_stmt_step(&stmt, err)) == 1)
		if (fn(ccp_column_text(&stmt, 0), ccp_column_text(&stmt, 1),
		       ccp_column_int(&stmt, 2), data) != 0)
			return 0;
	return r;
}

int ccp_op_each_standing(struct ccp_db *db, ccp_op_standing_fn fn, void *data,
			 struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_STANDINGS, &stmt, err);

	while (r >= 0 && (r = ccp_stmt_step(&stmt, err)) == 1) {
		const struct ccp_op_standing standing = { .id = ccp_column_text(&stmt, 0),
							  .phase = ccp_column_text(&stmt, 1),
							  .status = ccp_column_text(&stmt, 2),
							  .active = ccp_column_int(&stmt, 3),
							  .count = ccp_column_int(&stmt, 4) };

		fn(&standing, data);
	}
	return r;
}

int ccp_op_count_all(struct ccp_db *db, int64_t *ret_count, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_OPERATION_COUNT_ALL, &stmt, err);

	if (r == 0)
		r = ccp_stmt_step(&stmt, err);
	if (r == 1)
		*ret_count = ccp_column_int(&stmt, 0);
	return CCP_MIN(r, 0);
}
