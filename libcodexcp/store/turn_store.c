#include "store/turn_store.h"

#define CCP_ROW struct ccp_turn_row
static const struct ccp_column turn_columns[] = { CCP_TURN_COLUMNS(CCP_ROW_TEXT_COLUMN,
								   CCP_ROW_INT_COLUMN) };
#undef CCP_ROW
#define CCP_ROW struct ccp_message
static const struct ccp_column message_columns[] = { CCP_MESSAGE_COLUMNS(CCP_ROW_TEXT_COLUMN,
									 CCP_ROW_INT_COLUMN) };
#undef CCP_ROW

static const struct ccp_table turns = CCP_TABLE(turn_columns, struct ccp_turn_row);
static const struct ccp_table messages = CCP_TABLE(message_columns, struct ccp_message);

void ccp_turn_row_done(struct ccp_turn_row *turn)
{
	ccp_row_done(turns.columns, turns.n, turn);
}

void ccp_message_done(struct ccp_message *message)
{
	ccp_row_done(messages.columns, messages.n, message);
}

int ccp_turn_put(struct ccp_db *db, const struct ccp_turn_row *turn, struct codexcp_error *err)
{
	return ccp_table_put(db, CCP_SQL_TURN_PUT, &turns, turn, err);
}

int ccp_turn_get(struct ccp_db *db, const char *thread_id, const char *turn_id,
		 struct ccp_turn_row *ret_turn, struct codexcp_error *err)
{
	return ccp_table_get(db, CCP_SQL_TURN_GET, &turns, thread_id, turn_id, ret_turn, err);
}

int ccp_message_put(struct ccp_db *db, const struct ccp_message *message, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, CCP_SQL_MESSAGE_PUT, &stmt, err);

	if (r < 0)
		return r;
	ccp_row_bind(&stmt, 1, messages.columns, messages.n, message);
	ccp_bind_text(&stmt, 1, NULL);
	return ccp_stmt_run(&stmt, err);
}

int ccp_message_each(struct ccp_db *db, const char *thread_id, const char *turn_id, int limit,
		     ccp_row_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_MESSAGE_LAST, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, thread_id);
	ccp_bind_text(&stmt, 2, turn_id);
	ccp_bind_int(&stmt, 3, limit);
	return ccp_table_each(&stmt, &messages, fn, data, err);
}

int ccp_message_final(struct ccp_db *db, const char *thread_id, const char *turn_id,
		      struct ccp_message *ret_message, struct codexcp_error *err)
{
	return ccp_table_get(db, CCP_SQL_MESSAGE_FINAL, &messages, thread_id, turn_id, ret_message,
			     err);
}
