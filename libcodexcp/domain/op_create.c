#include "domain/op_create.h"

#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"
#include "domain/prompt.h"
#include "domain/resource_keys.h"
#include "domain/status.h"
#include "store/journal_store.h"

/* The newest active prompts that a new one is held against, and how many of them, the nearest by
 * their letters, are compared in full: the work of a submit does not grow with the queue. */
#define SIMILAR_SCAN     200
#define SIMILAR_COMPARED 5

/* Arguments that say what is wanted; the rest (title, priority, timeouts, display) may change on a
 * retry. */
static const char *const meaning_keys[] = {
	"operation_type",  "project_id",      "cwd",
	"thread_id",       "chat_id",         "message",
	"input_items",     "output_schema",   "sandbox",
	"approval_policy", "model",           "collaboration_mode",
	"thread_mode",     "on_interruption", "max_continuations",
};

void ccp_submit_done(struct ccp_submit *submit)
{
	ccp_op_done(&submit->op);
	ccp_op_request_done(&submit->request);
}

void ccp_submitted_done(struct ccp_submitted *submitted)
{
	json_decref(submitted->similar);
	submitted->similar = NULL;
}

json_t *ccp_request_meaning(const json_t *arguments)
{
	json_t *meaning = json_object();

	for (size_t i = 0; i < CCP_ARRAY_SIZE(meaning_keys); i++) {
		json_t *value = json_object_get(arguments, meaning_keys[i]);

		if (!json_is_null(value))
			ccp_json_set(&meaning, meaning_keys[i], value);
	}
	/* Two names of one argument. */
	if (!json_object_get(meaning, "thread_id"))
		ccp_json_set(&meaning, "thread_id", json_object_get(meaning, "chat_id"));
	json_object_del(meaning, "chat_id");
	return meaning;
}

/* The names of the arguments that say something else than the stored ones. */
static json_t *differences(const char *stored_text, const char *now_text)
{
	json_auto_t *stored = NULL, *now = NULL;
	json_t *differs = json_array(), *value;
	const char *key;

	if (!stored_text || !now_text ||
	    ccp_json_parse(stored_text, strlen(stored_text), 0, &stored, NULL) < 0 ||
	    ccp_json_parse(now_text, strlen(now_text), 0, &now, NULL) < 0)
		return differs;
	json_object_foreach (now, key, value)
		if (!json_equal(value, json_object_get(stored, key)))
			ccp_json_append_new(&differs, json_string(key));
	json_object_foreach (stored, key, value)
		if (!json_object_get(now, key))
			ccp_json_append_new(&differs, json_string(key));
	return differs;
}

static int fail_conflict(struct ccp_db *db, const struct ccp_op *existing, const char *arguments,
			 struct codexcp_error *err)
{
	_cleanup_op_request_ struct ccp_op_request request = { 0 };
	int r = ccp_op_get_request(db, existing->id, &request, err);

	if (r < 0)
		return r;
	ccp_fail(err, CODEXCP_E_IDEMPOTENCY_CONFLICT,
		 "client_request_id %s was used for another request", existing->client_request_id);
	ccp_error_add_str(err, "existingOperationId", existing->id);
	ccp_error_add(err, "differs", differences(request.arguments, arguments));
	return CODEXCP_E_IDEMPOTENCY_CONFLICT;
}

int ccp_op_find_request(struct ccp_db *db, const char *client_request_id, const char *request_hash,
			const char *arguments, char ret_id[static CCP_ID_SIZE],
			struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op existing = { 0 };
	int r = client_request_id ? ccp_op_get_by_client_id(db, client_request_id, &existing, err)
				  : 0;

	if (r <= 0)
		return r;
	if (!ccp_streq(existing.request_hash, request_hash))
		return fail_conflict(db, &existing, arguments, err);
	snprintf(ret_id, CCP_ID_SIZE, "%s", existing.id);
	return 1;
}

static int fail_duplicate(const struct ccp_op *existing, struct codexcp_error *err)
{
	json_t *decision = json_object();

	ccp_json_set_str(&decision, "reason", "same_prompt_active");
	ccp_fail(err, CODEXCP_E_DUPLICATE_PROMPT_ACTIVE,
		 "operation %s is working on the same text; poll it instead of sending it again",
		 existing->id);
	ccp_error_add_str(err, "operationId", existing->id);
	ccp_error_add_str(err, "existingOperationId", existing->id);
	ccp_error_add_str(err, "existingThreadId", existing->thread_id);
	ccp_error_add_str(err, "existingTurnId", existing->turn_id);
	ccp_error_add_str(err, "existingStatus", existing->status);
	ccp_error_add(err, "dedupDecision", decision);
	ccp_error_add_str(err, "nextRecommendedAction", "poll_existing_turn");
	return CODEXCP_E_DUPLICATE_PROMPT_ACTIVE;
}

struct duplicate_scan {
	const json_t *keys;
	int result;
	struct codexcp_error *err;
};

/* Both have keys, and none is the other's: they may work side by side on the same words. */
static int compare_keys(const struct ccp_op *existing, void *data)
{
	struct duplicate_scan *scan = data;
	json_auto_t *keys = NULL;

	scan->result = ccp_keys_parse(existing->resource_keys, &keys, scan->err);
	if (scan->result == 0 && scan->keys && keys && !ccp_keys_meet(scan->keys, keys))
		return 0;
	if (scan->result == 0)
		scan->result = fail_duplicate(existing, scan->err);
	return 1;
}

static int check_duplicate(struct ccp_db *db, const struct ccp_op *op, struct codexcp_error *err)
{
	json_auto_t *keys = NULL;
	struct duplicate_scan scan = { .err = err };
	int r = ccp_keys_parse(op->resource_keys, &keys, err);

	scan.keys = keys;
	if (r == 0)
		r = ccp_op_each_same_prompt(db, op->prompt_scope, op->prompt_hash, compare_keys,
					    &scan, err);
	return r < 0 ? r : scan.result;
}

/* The prompts that may be most similar, the nearest first: only their texts are read and
 * compared. */
struct similar_scan {
	struct ccp_prompt *prompt;
	struct {
		int64_t seq;
		double bound;
	} nearest[SIMILAR_COMPARED];
	size_t n;
	json_t *found;
};

static int keep_nearest(int64_t seq, const char *shape, void *data)
{
	struct similar_scan *scan = data;
	double bound = ccp_prompt_similarity_bound(scan->prompt, shape);
	size_t at = scan->n;

	if (bound < CCP_PROMPT_SIMILAR)
		return 0;
	while (at > 0 && scan->nearest[at - 1].bound < bound)
		at--;
	if (at == SIMILAR_COMPARED)
		return 0;
	scan->n = CCP_MIN(scan->n + 1, SIMILAR_COMPARED);
	memmove(&scan->nearest[at + 1], &scan->nearest[at],
		(scan->n - at - 1) * sizeof(scan->nearest[0]));
	scan->nearest[at].seq = seq;
	scan->nearest[at].bound = bound;
	return 0;
}

static int compare_prompt(const char *id, const char *message, const char *resource_keys,
			  void *data)
{
	struct similar_scan *scan = data;
	double similarity = message ? ccp_prompt_similarity(scan->prompt, message) : 0;
	json_t *entry;

	if (similarity < CCP_PROMPT_SIMILAR)
		return 0;
	entry = json_object();
	ccp_json_set_str(&entry, "operationId", id);
	ccp_json_set_int(&entry, "similarityPercent", (int64_t)(similarity * 100));
	if (!scan->found)
		scan->found = json_array();
	ccp_json_append_new(&scan->found, entry);
	return 0;
}

static int find_similar(struct ccp_db *db, struct ccp_submit *submit, json_t **ret_similar,
			struct codexcp_error *err)
{
	_cleanup_(ccp_prompt_freep) struct ccp_prompt *prompt = NULL;
	struct similar_scan scan = { 0 };
	int r;

	if (submit->request.input_items || !submit->request.message)
		return 0;
	r = ccp_prompt_new(submit->request.message, &prompt, err);
	if (r != 1)
		return r;
	scan.prompt = prompt;
	r = ccp_row_set(&submit->op.prompt_shape, ccp_prompt_shape(prompt), err);
	if (r == 0)
		r = ccp_op_each_shape(db, submit->op.prompt_scope, SIMILAR_SCAN, keep_nearest,
				      &scan, err);
	for (size_t i = 0; r == 0 && i < scan.n; i++)
		r = ccp_op_with_prompt(db, scan.nearest[i].seq, compare_prompt, &scan, err);
	*ret_similar = scan.found;
	return r;
}

/* A thread that goes on keeps what the caller did not name; the defaults are for new ones. */
static int keep_policy(struct ccp_submit *submit, struct codexcp_error *err)
{
	struct ccp_op *op = &submit->op;
	int r = submit->sandbox_named ? 0 : ccp_row_set(&op->sandbox, NULL, err);

	if (r == 0 && !submit->approval_named)
		r = ccp_row_set(&op->approval, NULL, err);
	if (r == 0 && !submit->model_named)
		r = ccp_row_set(&op->model, NULL, err);
	return r;
}

/* start_chat with thread_mode auto: the thread that has answered the same text goes on. */
static int continue_completed(struct ccp_db *db, struct ccp_submit *submit,
			      struct ccp_submitted *submitted, struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op done = { 0 };
	struct ccp_op *op = &submit->op;
	int r = submit->continue_completed
			? ccp_op_find_completed_prompt(db, op->project_path, op->prompt_hash, &done,
						       err)
			: 0;

	if (r <= 0)
		return r;
	snprintf(submitted->continued, CCP_ID_SIZE, "%s", done.id);
	r = ccp_row_set(&op->type, "send_message", err);
	if (r == 0)
		r = ccp_row_set(&op->prompt_scope, done.thread_id, err);
	if (r == 0)
		r = ccp_row_set(&op->thread_id, done.thread_id, err);
	return r < 0 ? r : keep_policy(submit, err);
}

static int journal_submitted(struct ccp_db *db, const struct ccp_op *op, struct codexcp_error *err)
{
	const struct ccp_journal_row row = { .at = op->created_at,
					     .op_id = op->id,
					     .thread_id = op->thread_id,
					     .category = (char *)"operation_status",
					     .severity = (char *)"info",
					     .text = (char *)"submitted" };

	return ccp_journal_append(db, &row, err);
}

static int insert(struct ccp_db *db, const struct ccp_clock *clock, struct ccp_submit *submit,
		  char ret_id[static CCP_ID_SIZE], struct codexcp_error *err)
{
	const struct ccp_step_row *queued = ccp_step_row(CCP_STEP_IS_QUEUED);
	struct ccp_op *op = &submit->op;
	int r;

	ccp_uuid_new(clock, ret_id);
	op->created_at = ccp_clock_wall(clock);
	op->updated_at = op->created_at;
	op->active = 1;
	op->version = 1;
	r = ccp_row_set(&op->id, ret_id, err);
	if (r == 0)
		r = ccp_row_set(&op->status, queued->status, err);
	if (r == 0)
		r = ccp_row_set(&op->phase, queued->phase, err);
	if (r == 0)
		r = ccp_op_insert(db, op, &submit->request, err);
	return r < 0 ? r : journal_submitted(db, op, err);
}

int ccp_op_submit(struct ccp_db *db, const struct ccp_clock *clock, struct ccp_submit *submit,
		  struct ccp_submitted *ret_submitted, struct codexcp_error *err)
{
	_cleanup_(ccp_submitted_done) struct ccp_submitted submitted = { 0 };
	int r = ccp_op_find_request(db, submit->op.client_request_id, submit->op.request_hash,
				    submit->request.arguments, submitted.id, err);

	submitted.existed = r == 1;
	/* Before the prompt is compared: it is compared with those of the thread that it goes
	 * to. */
	if (r == 0)
		r = continue_completed(db, submit, &submitted, err);
	if (r == 0 && submit->check_prompt)
		r = check_duplicate(db, &submit->op, err);
	if (r == 0 && submit->check_prompt)
		r = find_similar(db, submit, &submitted.similar, err);
	if (r == 0 && !submitted.existed)
		r = insert(db, clock, submit, submitted.id, err);
	if (r < 0)
		return r;
	*ret_submitted = submitted;
	submitted.similar = NULL;
	return 0;
}
