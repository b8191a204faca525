/*
 * All SQL of the program but the schema: X(NAME, "text"). Reached through ccp_stmt_open(db,
 * CCP_SQL_NAME, ...).
 *
 * Column lists come from the X-macros of the row structs, so that a column is added in one place.
 * Such a list ends with a comma; a constant column follows it.
 */
#pragma once

#include "store/columns.h"

#define CCP_NAMES(list)   list(CCP_ROW_NAME, CCP_ROW_NAME)
#define CCP_MARKS(list)   list(CCP_ROW_MARK, CCP_ROW_MARK)
#define CCP_ASSIGNS(list) list(CCP_ROW_ASSIGN, CCP_ROW_ASSIGN)

#define CCP_OP_SELECT                                                                              \
	"SELECT " CCP_NAMES(CCP_OP_FIXED_COLUMNS) CCP_NAMES(CCP_OP_STATE_COLUMNS) "version FROM "  \
										  "operations "

/* Priority with ageing: a class is worth ten minutes of waiting (CCP_QUEUE_CLASS_MS), so the order
 * never changes while rows wait and can stand in an index. */
#define CCP_QUEUE_RANK "created_at - priority * 600000"
/* Queued operations for which mostly the same decides whether they may run; those of an agent stand
 * side by side. */
#define CCP_QUEUE_LANE                                                                             \
	"quote(agent_id) || ' ' || quote(project_path) || ' ' || quote(sandbox) || "               \
	"(resource_keys IS NULL)"
/* Messages to one thread run in the order in which they came. */
#define CCP_QUEUE_BEHIND                                                                           \
	"EXISTS (SELECT 1 FROM operations o WHERE o.thread_id = q.thread_id AND o.active = 1 "     \
	"AND o.phase = 'queued' AND o.seq < q.seq)"

/*
 * Whether a finished operation `o` may be forgotten, its age apart: not while its request id is in
 * its window (?1: created later), nor while anything active comes from it, goes on in its thread,
 * or is wanted of it.
 */
#define CCP_OP_FORGETTABLE                                                                         \
	"(o.client_request_id IS NULL OR o.created_at <= ?1) "                                     \
	"AND NOT EXISTS (SELECT 1 FROM operations a WHERE a.active = 1 AND a.parent_id = o.id) "   \
	"AND NOT EXISTS (SELECT 1 FROM operations a WHERE a.active = 1 "                           \
	"AND a.thread_id = o.thread_id) "                                                          \
	"AND NOT EXISTS (SELECT 1 FROM commands c WHERE c.op_id = o.id AND c.completed_at = 0)"

/* And a row of the journal `j`: what belongs to anything active stays. */
#define CCP_JOURNAL_FORGETTABLE                                                                    \
	"NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = j.op_id AND o.active = 1) "           \
	"AND NOT EXISTS (SELECT 1 FROM operations o "                                              \
	"WHERE o.thread_id = j.thread_id AND o.active = 1)"

/* clang-format off */
#define CCP_STATEMENTS(X)                                                                          \
	X(OPERATION_INSERT,                                                                        \
	  "INSERT INTO operations(" CCP_NAMES(CCP_OP_FIXED_COLUMNS)                                \
		  CCP_NAMES(CCP_OP_STATE_COLUMNS) "version) VALUES("                               \
		  CCP_MARKS(CCP_OP_FIXED_COLUMNS) CCP_MARKS(CCP_OP_STATE_COLUMNS) "?)")            \
	X(OPERATION_UPDATE,                                                                        \
	  "UPDATE operations SET " CCP_ASSIGNS(CCP_OP_STATE_COLUMNS)                               \
		  "version = version + 1 WHERE id = ? AND version = ?")                            \
	X(OPERATION_GET, CCP_OP_SELECT "WHERE id = ?")                                             \
	X(OPERATION_BY_CLIENT_ID, CCP_OP_SELECT "WHERE client_request_id = ?")                     \
	X(OPERATION_BY_TURN,                                                                       \
	  CCP_OP_SELECT "WHERE thread_id = ?1 AND (?2 IS NULL OR turn_id = ?2) "                   \
			"ORDER BY active DESC, seq DESC LIMIT 1")                                  \
	X(OPERATION_THREAD_POLICY,                                                                 \
	  CCP_OP_SELECT "WHERE thread_id = ? AND turn_id IS NOT NULL "                             \
			"AND effective_sandbox IS NOT NULL ORDER BY seq DESC LIMIT 1")             \
	X(OPERATION_ACTIVE, CCP_OP_SELECT "WHERE active = 1 AND phase <> 'queued' ORDER BY seq")   \
	X(OPERATION_RUNNING,                                                                       \
	  "SELECT " CCP_NAMES(CCP_OP_QUEUE_COLUMNS) "0 FROM operations "                           \
	  "WHERE active = 1 AND phase <> 'queued' ORDER BY seq")                                   \
	X(OPERATION_PROMPT,                                                                        \
	  CCP_OP_SELECT "WHERE active = 1 AND prompt_scope = ? AND prompt_hash = ? "               \
			"AND prompt_guards = 1 ORDER BY seq")                                      \
	X(OPERATION_COMPLETED_PROMPT,                                                              \
	  CCP_OP_SELECT "WHERE project_path = ? AND prompt_hash = ? AND status = 'completed' "     \
			"AND thread_id IS NOT NULL ORDER BY seq DESC LIMIT 1")                     \
	X(OPERATION_PROMPT_SHAPES,                                                                 \
	  "SELECT seq, prompt_shape FROM operations "                                              \
	  "WHERE active = 1 AND prompt_scope = ? AND prompt_guards = 1 ORDER BY seq DESC LIMIT ?") \
	X(OPERATION_PROMPT_TEXT,                                                                   \
	  "SELECT o.id, r.message, o.resource_keys FROM operations o "                             \
	  "JOIN requests r ON r.op_id = o.id WHERE o.seq = ?")                                     \
	X(OPERATION_QUEUED,                                                                        \
	  "SELECT " CCP_NAMES(CCP_OP_QUEUE_COLUMNS) CCP_QUEUE_LANE ", (SELECT max(started_at) FROM operations a "        \
	  "WHERE a.agent_id IS q.agent_id AND a.started_at > 0) "                                  \
	  "FROM operations AS q INDEXED BY op_lane WHERE active = 1 AND phase = 'queued' "         \
	  "AND " CCP_QUEUE_LANE " > ?1 AND not_before <= ?2 AND NOT " CCP_QUEUE_BEHIND             \
	  " ORDER BY " CCP_QUEUE_LANE ", " CCP_QUEUE_RANK ", seq")                                 \
	X(OPERATION_BEHIND, "SELECT " CCP_QUEUE_BEHIND " FROM operations AS q WHERE id = ?")       \
	X(OPERATION_LAST_BEGUN,                                                                    \
	  CCP_OP_SELECT "WHERE thread_id = ?1 AND id <> ?2 AND started_at > 0 "                    \
			"ORDER BY seq DESC LIMIT 1")                                               \
	X(OPERATION_QUEUE,                                                                         \
	  CCP_OP_SELECT "INDEXED BY op_queue WHERE active = 1 AND phase = 'queued' "               \
			"ORDER BY " CCP_QUEUE_RANK ", seq")                                        \
	X(OPERATION_NEXT_DUE,                                                                      \
	  "SELECT min(not_before) FROM operations INDEXED BY op_due WHERE active = 1 AND phase = 'queued' "          \
	  "AND not_before > ?")                                                                    \
	X(OPERATION_QUOTA,                                                                         \
	  "SELECT count(*) FILTER (WHERE phase = 'waiting_for_quota'), "                           \
	  "count(*) FILTER (WHERE phase <> 'waiting_for_quota'), "                                 \
	  "max(not_before) FILTER (WHERE phase = 'waiting_for_quota'), "                           \
	  "max(quota_waits) FILTER (WHERE phase = 'waiting_for_quota') "                           \
	  "FROM operations INDEXED BY op_quota WHERE active = 1 AND quota_held = 1")               \
	X(OPERATION_WAITING_FOR_QUOTA,                                                             \
	  "SELECT id FROM operations INDEXED BY op_quota WHERE active = 1 AND quota_held = 1 "     \
	  "AND phase = 'waiting_for_quota' ORDER BY " CCP_QUEUE_RANK ", seq")                      \
	X(OPERATION_COUNT,                                                                         \
	  "SELECT count(*), count(*) FILTER (WHERE phase IN ('queued', 'waiting_for_quota')), "    \
	  "count(*) FILTER (WHERE phase IN ('waiting_for_approval', 'waiting_for_user_input')) "   \
	  "FROM operations WHERE active = 1")                                                      \
	X(OPERATION_STANDINGS,                                                                     \
	  "SELECT min(id), phase, status, active, count(*) FROM operations "                       \
	  "GROUP BY phase, status, active")                                                        \
	X(OPERATION_COUNT_ALL, "SELECT count(*) FROM operations")                                  \
	X(PROJECT_TOUCH,                                                                           \
	  "INSERT INTO projects(path, id, last_at) VALUES(?, ?, ?) "                               \
	  "ON CONFLICT(path) DO UPDATE SET last_at = excluded.last_at")                            \
	X(PROJECTS, "SELECT path, id, last_at FROM projects ORDER BY last_at DESC LIMIT 5000")     \
	X(REQUEST_INSERT,                                                                          \
	  "INSERT INTO requests(op_id, message, input_items, output_schema, arguments) "           \
	  "VALUES(?, ?, ?, ?, ?)")                                                                 \
	X(REQUEST_GET,                                                                             \
	  "SELECT message, input_items, output_schema, arguments FROM requests WHERE op_id = ?")   \
	X(TURN_PUT,                                                                                \
	  "INSERT INTO turns(" CCP_NAMES(CCP_TURN_COLUMNS) "rowid) VALUES("                        \
		  CCP_MARKS(CCP_TURN_COLUMNS)                                                      \
	  "NULL) ON CONFLICT(thread_id, turn_id) DO UPDATE SET "                                   \
	  "op_id = coalesce(excluded.op_id, op_id), status = coalesce(excluded.status, status), "  \
	  "error = coalesce(excluded.error, error), usage = coalesce(excluded.usage, usage), "     \
	  "live_text = coalesce(excluded.live_text, live_text), "                                  \
	  "instance = coalesce(excluded.instance, instance), "                                     \
	  "started_at = CASE WHEN started_at > 0 THEN started_at ELSE excluded.started_at END, "   \
	  "updated_at = max(updated_at, excluded.updated_at), "                                    \
	  "completed_at = excluded.completed_at WHERE completed_at = 0")                           \
	X(TURN_GET,                                                                                \
	  "SELECT " CCP_NAMES(CCP_TURN_COLUMNS) "0 FROM turns "                                    \
	  "WHERE turn_id = ?2 AND (?1 IS NULL OR thread_id = ?1) "                                 \
	  "ORDER BY started_at DESC LIMIT 1")                                                      \
	X(MESSAGE_PUT,                                                                             \
	  "INSERT INTO messages(" CCP_NAMES(CCP_MESSAGE_COLUMNS) "chars) VALUES("                  \
		  CCP_MARKS(CCP_MESSAGE_COLUMNS)                                                   \
	  "length(?7)) ON CONFLICT(thread_id, turn_id, item_id) DO UPDATE SET "                    \
	  "text = excluded.text, phase = excluded.phase, chars = excluded.chars")                  \
	X(MESSAGE_LAST,                                                                            \
	  "SELECT * FROM (SELECT " CCP_NAMES(CCP_MESSAGE_COLUMNS)                                  \
	  "0 FROM messages WHERE thread_id = ? AND turn_id = ? ORDER BY id DESC LIMIT ?) "         \
	  "ORDER BY id")                                                                           \
	X(MESSAGE_FINAL,                                                                           \
	  "SELECT " CCP_NAMES(CCP_MESSAGE_COLUMNS)                                                 \
	  "0 FROM messages WHERE thread_id = ? AND turn_id = ? AND role IN ('assistant', 'plan') " \
	  "AND text <> '' ORDER BY role, CASE phase WHEN 'final_answer' THEN 0 "                   \
	  "WHEN 'commentary' THEN 2 ELSE 1 END, id DESC LIMIT 1")                                  \
	X(JOURNAL_APPEND,                                                                          \
	  "INSERT INTO journal(" CCP_NAMES(CCP_JOURNAL_COLUMNS) "chars) VALUES("                   \
		  CCP_MARKS(CCP_JOURNAL_COLUMNS) "length(?9))")                                    \
	X(JOURNAL_PROGRESS_OPERATION,                                                              \
	  "SELECT * FROM (SELECT " CCP_NAMES(CCP_JOURNAL_COLUMNS)                                  \
	  "0 FROM journal WHERE op_id = ? AND progress = 1 ORDER BY id DESC LIMIT ?) ORDER BY id") \
	X(JOURNAL_PROGRESS_TURN,                                                                   \
	  "SELECT * FROM (SELECT " CCP_NAMES(CCP_JOURNAL_COLUMNS)                                  \
	  "0 FROM journal WHERE thread_id = ? AND turn_id = ? AND progress = 1 "                   \
	  "ORDER BY id DESC LIMIT ?) ORDER BY id")                                                 \
	X(JOURNAL_OPERATION,                                                                       \
	  "SELECT " CCP_NAMES(CCP_JOURNAL_COLUMNS)                                                 \
	  "0 FROM journal WHERE op_id = ? ORDER BY id DESC LIMIT ?")                               \
	X(JOURNAL_COUNT_OPERATION,                                                                 \
	  "SELECT count(*), max(at) FROM journal WHERE op_id = ? AND progress = 1")                \
	X(JOURNAL_ITEM_OF_OTHER,                                                                   \
	  "SELECT 1 FROM journal WHERE thread_id = ?1 AND turn_id <> ?2 AND item_id = ?3 LIMIT 1") \
	X(JOURNAL_COUNT_TURN,                                                                      \
	  "SELECT count(*), max(at) FROM journal "                                                 \
	  "WHERE thread_id = ? AND turn_id = ? AND progress = 1")                                  \
	X(WORKER_PUT,                                                                              \
	  "INSERT OR REPLACE INTO workers(" CCP_NAMES(CCP_WORKER_COLUMNS) "rowid) VALUES("         \
		  CCP_MARKS(CCP_WORKER_COLUMNS) "(SELECT rowid FROM workers WHERE id = ?1))")      \
	X(WORKER_LATEST,                                                                           \
	  "SELECT " CCP_NAMES(CCP_WORKER_COLUMNS)                                                  \
	  "0 FROM workers WHERE role <> 'observe' ORDER BY epoch DESC LIMIT 1")                    \
	X(WORKERS_NEWEST,                                                                          \
	  "SELECT " CCP_NAMES(CCP_WORKER_COLUMNS) "0 FROM workers ORDER BY rowid DESC LIMIT ?")    \
	X(INSTANCE_PUT,                                                                            \
	  "INSERT OR REPLACE INTO app_servers(" CCP_NAMES(CCP_INSTANCE_COLUMNS) "rowid) VALUES("   \
		  CCP_MARKS(CCP_INSTANCE_COLUMNS)                                                  \
	  "(SELECT rowid FROM app_servers WHERE id = ?1))")                                        \
	X(INSTANCE_GET, "SELECT " CCP_NAMES(CCP_INSTANCE_COLUMNS) "0 FROM app_servers WHERE id = ?") \
	X(INSTANCE_OPEN,                                                                           \
	  "SELECT " CCP_NAMES(CCP_INSTANCE_COLUMNS)                                                \
	  "0 FROM app_servers WHERE ended_at = 0 ORDER BY rowid DESC")                             \
	X(INSTANCE_END, "UPDATE app_servers SET ended_at = ?2, end_reason = ?3 WHERE id = ?1")         \
	X(COMMAND_INSERT,                                                                          \
	  "INSERT INTO commands(" CCP_NAMES(CCP_COMMAND_COLUMNS) "rowid) VALUES("                  \
		  CCP_MARKS(CCP_COMMAND_COLUMNS) "NULL)")                                          \
	X(COMMAND_GET, "SELECT " CCP_NAMES(CCP_COMMAND_COLUMNS) "0 FROM commands WHERE id = ?")    \
	X(COMMANDS_NEWEST,                                                                         \
	  "SELECT " CCP_NAMES(CCP_COMMAND_COLUMNS) "0 FROM commands ORDER BY rowid DESC LIMIT ?")  \
	X(COMMAND_NEXT,                                                                            \
	  "SELECT " CCP_NAMES(CCP_COMMAND_COLUMNS)                                                 \
	  "0 FROM commands WHERE completed_at = 0 AND status = 'queued' ORDER BY rowid LIMIT 1")   \
	X(COMMAND_UPDATE,                                                                          \
	  "UPDATE commands SET status = ?2, result = ?3, error = ?4, updated_at = ?5, "            \
	  "completed_at = ?6 WHERE id = ?1 AND status IN ('queued', 'running')")                   \
	X(COMMAND_REQUEUE,                                                                         \
	  "UPDATE commands SET status = 'queued' WHERE completed_at = 0 AND status = 'running'")   \
	X(RETENTION_NTH,                                                                           \
	  "SELECT completed_at FROM operations WHERE active = 0 "                                  \
	  "ORDER BY completed_at DESC LIMIT 1 OFFSET ?")                                           \
	X(RETENTION_ENDED,                                                                         \
	  "SELECT o.completed_at, o.seq, o.id, o.thread_id, " CCP_OP_FORGETTABLE                   \
	  " FROM operations o INDEXED BY op_ended WHERE o.active = 0 "                             \
	  "AND o.completed_at >= ?2 AND o.completed_at <= ?4 "                                     \
	  "AND (o.completed_at > ?2 OR o.seq > ?3) ORDER BY o.completed_at, o.seq LIMIT ?5")       \
	X(RETENTION_JOURNAL_OF,                                                                    \
	  "DELETE FROM journal WHERE id IN (SELECT id FROM journal WHERE op_id = ?1 LIMIT ?3)")    \
	X(RETENTION_MESSAGES_OF,                                                                   \
	  "DELETE FROM messages WHERE id IN (SELECT m.id FROM turns t JOIN messages m "            \
	  "ON m.thread_id = t.thread_id AND m.turn_id = t.turn_id WHERE t.op_id = ?1 LIMIT ?3)")   \
	X(RETENTION_TURNS_OF,                                                                      \
	  "DELETE FROM turns WHERE rowid IN (SELECT rowid FROM turns WHERE op_id = ?1 LIMIT ?3)")  \
	X(RETENTION_THREAD_MESSAGES,                                                               \
	  "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE thread_id = ?2 "        \
	  "AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.thread_id = ?2 AND o.id <> ?1) "     \
	  "LIMIT ?3)")                                                                             \
	X(RETENTION_THREAD_TURNS,                                                                  \
	  "DELETE FROM turns WHERE rowid IN (SELECT rowid FROM turns WHERE thread_id = ?2 "        \
	  "AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.thread_id = ?2 AND o.id <> ?1) "     \
	  "LIMIT ?3)")                                                                             \
	X(RETENTION_COMMANDS_OF,                                                                   \
	  "DELETE FROM commands WHERE rowid IN "                                                   \
	  "(SELECT rowid FROM commands WHERE op_id = ?1 LIMIT ?3)")                                \
	X(RETENTION_REQUEST_OF, "DELETE FROM requests WHERE op_id = ?1 AND ?3 > 0")                \
	X(RETENTION_OPERATION, "DELETE FROM operations WHERE id = ?1 AND active = 0 AND ?3 > 0")   \
	X(RETENTION_JOURNAL_END,                                                                   \
	  "SELECT max(id) FILTER (WHERE at <= ?2 OR id <= (SELECT max(id) FROM journal) - ?3) "    \
	  "FROM (SELECT id, at FROM journal WHERE id > ?1 ORDER BY id LIMIT ?4)")                  \
	X(RETENTION_JOURNAL,                                                                       \
	  "DELETE FROM journal AS j WHERE id > ?1 AND id <= ?2 AND " CCP_JOURNAL_FORGETTABLE)      \
	X(RETENTION_JOURNAL_COUNT,                                                                 \
	  "SELECT count(*) FROM journal j WHERE (at <= ?1 "                                        \
	  "OR id <= (SELECT max(id) FROM journal) - ?2) AND " CCP_JOURNAL_FORGETTABLE)             \
	X(RETENTION_WORKERS,                                                                       \
	  "DELETE FROM workers WHERE rowid IN "                                                    \
	  "(SELECT rowid FROM workers WHERE rowid > 0 ORDER BY rowid LIMIT ?3) "                   \
	  "AND epoch < (SELECT max(epoch) FROM workers) AND (heartbeat_at <= ?1 "                  \
	  "OR rowid <= (SELECT max(rowid) FROM workers) - ?2)")                                    \
	X(RETENTION_INSTANCES,                                                                     \
	  "DELETE FROM app_servers WHERE rowid IN "                                                \
	  "(SELECT rowid FROM app_servers WHERE rowid > 0 ORDER BY rowid LIMIT ?3) "               \
	  "AND (ended_at > 0 OR epoch < (SELECT max(epoch) FROM workers) - ?2) "                   \
	  "AND (max(started_at, ended_at) <= ?1 "                                                  \
	  "OR rowid <= (SELECT max(rowid) FROM app_servers) - ?2) "                                \
	  "AND NOT EXISTS (SELECT 1 FROM operations o INDEXED BY op_active WHERE o.active = 1 "    \
	  "AND o.phase <> 'queued' AND o.instance = app_servers.id)")                              \
	X(RETENTION_COMMANDS,                                                                      \
	  "DELETE FROM commands WHERE rowid IN "                                                   \
	  "(SELECT rowid FROM commands WHERE rowid > 0 ORDER BY rowid LIMIT ?3) "                  \
	  "AND completed_at > 0 AND (completed_at <= ?1 "                                          \
	  "OR rowid <= (SELECT max(rowid) FROM commands) - ?2) "                                   \
	  "AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = op_id AND o.active = 1)")       \
	X(META_GET, "SELECT value FROM meta WHERE key = ?")                                        \
	X(META_SET, "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)")                        \
	X(META_NEXT_EPOCH,                                                                         \
	  "INSERT INTO meta(key, value) VALUES('epoch', '1') "                                     \
	  "ON CONFLICT(key) DO UPDATE SET value = cast(value AS INTEGER) + 1 RETURNING value")
/* clang-format on */
