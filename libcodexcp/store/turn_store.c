#include "store/turn_store.h"

#define CCP_ROW struct ccp_turn_row
static const struct ccp_column turn_columns[] = { CCP_TURN_COLUMNS(CCP_ROW_TEXT_COLUMN,
								   CCP_ROW_INT_COLUMN) };
#undef CCP_ROW
#define CCP_ROW struct ccp_message
static const struct ccp_column message_columns[] = { CCP_MESSAGE_COLUMNS(CCP_ROW_TEXT_COLUMN,
									 CCP_ROW_INT_COLUMN) };
#undef CCP_ROW

#define N_TURN    CCP_ARRAY_SIZE(turn_columns)
#define N_MESSAGE CCP_ARRAY_SIZE(message_columns)

void ccp_turn_row_done(struct ccp_turn_row *turn)
{
	ccp_row_done(turn_columns, N_TURN, turn);
}

void ccp_message_done(struct ccp_message *message)
{
	ccp_row_done(message_columns, N_MESSAGE, message);
}

int ccp_turn_put(struct ccp_db *db, const struct ccp_turn_row *turn, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_TURN_PUT, &stmt, err);

	if (r < 0)
		return r;
	ccp_row_bind(&stmt, 1, turn_columns, N_TURN, turn);
	return ccp_stmt_run(&stmt, err);
}

int ccp_turn_get(struct ccp_db *db, const char *thread_id, const char *turn_id,
		 struct ccp_turn_row *ret_turn, struct codexcp_error *err)
{
	_cleanup_turn_row_ struct ccp_turn_row turn = { 0 };
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_TURN_GET, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, thread_id);
	ccp_bind_text(&stmt, 2, turn_id);
	r = ccp_stmt_step(&stmt, err);
	if (r != 1)
		return r;
	r = ccp_row_read(&stmt, 0, turn_columns, N_TURN, &turn, err);
	if (r < 0)
		return r;
	*ret_turn = turn;
	turn = (struct ccp_turn_row){ 0 };
	return 1;
}

int ccp_message_put(struct ccp_db *db, const struct ccp_message *message, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_MESSAGE_PUT, &stmt, err);

	if (r < 0)
		return r;
	ccp_row_bind(&stmt, 1, message_columns, N_MESSAGE, message);
	ccp_bind_text(&stmt, 1, NULL);
	return ccp_stmt_run(&stmt, err);
}

int ccp_message_each(struct ccp_db *db, const char *thread_id, const char *turn_id, int limit,
		     ccp_message_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_MESSAGE_LAST, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, thread_id);
	ccp_bind_text(&stmt, 2, turn_id);
	ccp_bind_int(&stmt, 3, limit);
	while (r >= 0 && (r = ccp_stmt_step(&stmt, err)) == 1) {
		_cleanup_message_ struct ccp_message message = { 0 };

		r = ccp_row_read(&stmt, 0, message_columns, N_MESSAGE, &message, err);
		if (r == 0 && fn(&message, data) != 0)
			return 0;
	}
	return r;
}

int ccp_message_final(struct ccp_db *db, const char *thread_id, const char *turn_id,
		      struct ccp_message *ret_message, struct codexcp_error *err)
{
	_cleanup_message_ struct ccp_message message = { 0 };
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_MESSAGE_FINAL, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, thread_id);
	ccp_bind_text(&stmt, 2, turn_id);
	r = ccp_stmt_step(&stmt, err);
	if (r != 1)
		return r;
	r = ccp_row_read(&stmt, 0, message_columns, N_MESSAGE, &message, err);
	if (r < 0)
		return r;
	*ret_message = message;
	message = (struct ccp_message){ 0 };
	return 1;
}
