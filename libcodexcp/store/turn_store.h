/*
 * Turns and their messages. A turn's identity is (thread id, turn id): old Codex versions number
 * turns per thread. Terminal is final: an update of an ended turn changes nothing.
 */
#pragma once

#include "store/row.h"

struct ccp_turn_row {
	CCP_TURN_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
};
void ccp_turn_row_done(struct ccp_turn_row *turn);
#define _cleanup_turn_row_ _cleanup_(ccp_turn_row_done)

/* Insert, or update what a running turn may change (status, error, usage, live text, times).
 * Members that are NULL or 0 keep what the row has. */
int ccp_turn_put(struct ccp_db *db, const struct ccp_turn_row *turn, struct codexcp_error *err);
/* thread_id NULL: the newest turn with this id. 1 found, 0 none. */
int ccp_turn_get(struct ccp_db *db, const char *thread_id, const char *turn_id,
		 struct ccp_turn_row *ret_turn, struct codexcp_error *err);

struct ccp_message {
	CCP_MESSAGE_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
};
void ccp_message_done(struct ccp_message *message);
#define _cleanup_message_ _cleanup_(ccp_message_done)

/* One row per item: the same item again replaces its text. `id` is not read. */
int ccp_message_put(struct ccp_db *db, const struct ccp_message *message,
		    struct codexcp_error *err);
/* The newest `limit` messages of a turn, oldest of them first; rows are struct ccp_message. */
int ccp_message_each(struct ccp_db *db, const char *thread_id, const char *turn_id, int limit,
		     ccp_row_fn fn, void *data, struct codexcp_error *err);
/* What the turn answers: the last assistant message of phase final_answer, else the last assistant
 * message without a phase or of any other, else the plan. 1 found, 0 none. */
int ccp_message_final(struct ccp_db *db, const char *thread_id, const char *turn_id,
		      struct ccp_message *ret_message, struct codexcp_error *err);
