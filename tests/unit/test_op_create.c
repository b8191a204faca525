#include <ccp_db_check.h>
#include <sys/wait.h>

#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"
#include "domain/op_create.h"

#define LONG_TEXT "Please look at the parser and tell me why it drops the last line of a file"

struct fixture {
	struct db_fixture db;
	struct db_clock clock;
};

static void setup(struct fixture *f)
{
	ck_assert_int_eq(ccp_random_init(), 0);
	db_setup(&f->db);
	db_clock_init(&f->clock, 5000);
}

static void done(struct fixture *f)
{
	db_done(&f->db);
}

/* What a test says about a request; the rest is the same for all. */
struct asked {
	const char *client_id, *request_hash, *arguments, *message, *prompt_hash, *scope, *keys;
	bool no_check, continue_completed;
	const char *input_items;
};

static void set(char **member, const char *value)
{
	OK(ccp_row_set(member, value, &db_err));
}

static void fill(const struct asked *asked, struct ccp_submit *s)
{
	*s = (struct ccp_submit){ .check_prompt = !asked->no_check,
				  .continue_completed = asked->continue_completed };
	set(&s->op.client_request_id, asked->client_id);
	set(&s->op.request_hash, asked->request_hash ? asked->request_hash : "hash");
	set(&s->op.type, "start_chat");
	set(&s->op.project_id, "project");
	set(&s->op.project_path, "/p");
	set(&s->op.cwd, "/p");
	set(&s->op.allowed_root, "/");
	set(&s->op.prompt_scope, asked->scope ? asked->scope : "new");
	set(&s->op.prompt_hash, asked->prompt_hash ? asked->prompt_hash : asked->message);
	set(&s->op.resource_keys, asked->keys);
	s->op.prompt_guards = 1;
	set(&s->request.message, asked->message ? asked->message : "m");
	set(&s->request.arguments, asked->arguments ? asked->arguments : "{}");
	set(&s->request.input_items, asked->input_items);
}

/* In a transaction of its own, rolled back when refused. */
static int submit_to(struct ccp_db *db, const struct ccp_clock *clock, const struct asked *asked,
		     struct ccp_submitted *ret, struct codexcp_error *err)
{
	struct ccp_submit s;
	int r;

	fill(asked, &s);
	OK(ccp_db_begin(db, &db_err));
	r = ccp_op_submit(db, clock, &s, ret, err);
	if (r < 0)
		ccp_db_rollback(db);
	else
		OK(ccp_db_commit(db, &db_err));
	ccp_submit_done(&s);
	return r;
}

static struct ccp_submitted submit(struct fixture *f, const struct asked *asked)
{
	struct ccp_submitted submitted = { 0 };

	OK(submit_to(f->db.db, &f->clock.clock, asked, &submitted, &db_err));
	return submitted;
}

static void count(const struct fixture *f, const char *want)
{
	db_expect(f->db.path,
		  "SELECT (SELECT count(*) FROM operations), (SELECT count(*) FROM requests)",
		  want);
}

START_TEST(test_submit)
{
	struct fixture f;
	const struct asked asked = { .client_id = "c", .message = "do it" };
	struct ccp_submitted got;
	_cleanup_op_ struct ccp_op op = { 0 };

	setup(&f);
	got = submit(&f, &asked);
	ck_assert(!got.existed);
	ck_assert_ptr_null(got.similar);
	ck_assert_str_eq(got.continued, "");
	ck_assert_int_eq(ccp_op_get(f.db.db, got.id, &op, &db_err), 1);
	ck_assert_str_eq(op.status, "queued");
	ck_assert_str_eq(op.phase, "queued");
	ck_assert_int_eq(op.active, 1);
	ck_assert_int_eq(op.version, 1);
	ck_assert_int_eq(op.created_at, 5000);
	ck_assert_int_eq(op.updated_at, 5000);
	ck_assert_int_eq(op.started_at, 0);
	count(&f, "1|1\n");
	db_expect(f.db.path, "SELECT at, category, text FROM journal",
		  "5000|operation_status|submitted\n");
	ccp_submitted_done(&got);
	done(&f);
}
END_TEST

/* The same request again is the same operation, also when the prompt check would refuse it, also
 * when it has ended. */
START_TEST(test_replay)
{
	struct fixture f;
	const struct asked asked = { .client_id = "c", .message = "do it" };
	struct ccp_submitted first, again;

	setup(&f);
	first = submit(&f, &asked);
	again = submit(&f, &asked);
	ck_assert(again.existed);
	ck_assert_str_eq(again.id, first.id);
	db_exec(f.db.path, "UPDATE operations SET active = 0, phase = 'failed', status = 'failed'");
	again = submit(&f, &asked);
	ck_assert(again.existed);
	ck_assert_str_eq(again.id, first.id);
	count(&f, "1|1\n");
	db_expect(f.db.path, "SELECT count(*) FROM journal", "1\n");
	done(&f);
}
END_TEST

START_TEST(test_conflict)
{
	struct fixture f;
	const struct asked first = {
		.client_id = "c",
		.request_hash = "1",
		.arguments = "{\"message\":\"a\",\"cwd\":\"/p\",\"sandbox\":\"read-only\"}",
	};
	const struct asked other = {
		.client_id = "c",
		.request_hash = "2",
		.arguments = "{\"message\":\"b\",\"cwd\":\"/p\",\"model\":\"m\"}",
	};
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *differs = NULL;
	struct ccp_submitted got, untouched = { .existed = true };

	setup(&f);
	got = submit(&f, &first);
	ck_assert_int_eq(submit_to(f.db.db, &f.clock.clock, &other, &untouched, &err),
			 CODEXCP_E_IDEMPOTENCY_CONFLICT);
	ck_assert(untouched.existed);
	ck_assert_int_eq(err.code, CODEXCP_E_IDEMPOTENCY_CONFLICT);
	ck_assert_str_eq(ccp_json_str(err.details, "existingOperationId"), got.id);
	differs = ccp_json_dump(ccp_json_arr(err.details, "differs"), NULL);
	ck_assert_str_eq(differs, "[\"message\",\"model\",\"sandbox\"]");
	count(&f, "1|1\n");
	done(&f);
}
END_TEST

START_TEST(test_find_request)
{
	struct fixture f;
	const struct asked asked = { .client_id = "c", .request_hash = "1" };
	struct ccp_submitted got;
	char id[CCP_ID_SIZE] = "untouched";

	setup(&f);
	ck_assert_int_eq(ccp_op_find_request(f.db.db, "c", "1", "{}", id, &db_err), 0);
	got = submit(&f, &asked);
	ck_assert_int_eq(ccp_op_find_request(f.db.db, NULL, "1", "{}", id, &db_err), 0);
	ck_assert_int_eq(ccp_op_find_request(f.db.db, "c", "2", "{}", id, NULL),
			 CODEXCP_E_IDEMPOTENCY_CONFLICT);
	ck_assert_str_eq(id, "untouched");
	ck_assert_int_eq(ccp_op_find_request(f.db.db, "c", "1", "{}", id, &db_err), 1);
	ck_assert_str_eq(id, got.id);
	done(&f);
}
END_TEST

START_TEST(test_meaning)
{
	json_auto_t *arguments = json_loads("{\"message\":\"m\",\"title\":\"t\",\"model\":null,"
					    "\"priority\":\"high\",\"cwd\":\"/p\"}",
					    0, NULL);
	json_auto_t *meaning = ccp_request_meaning(arguments);
	_cleanup_free_ char *text = ccp_json_dump_canonical(meaning);

	ck_assert_str_eq(text, "{\"cwd\":\"/p\",\"message\":\"m\"}");
}
END_TEST

static void check_duplicate(struct fixture *f, const struct asked *asked, const char *existing)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct ccp_submitted got = { 0 };

	ck_assert_int_eq(submit_to(f->db.db, &f->clock.clock, asked, &got, &err),
			 CODEXCP_E_DUPLICATE_PROMPT_ACTIVE);
	ck_assert_str_eq(ccp_json_str(err.details, "operationId"), existing);
	ck_assert_str_eq(ccp_json_str(err.details, "existingOperationId"), existing);
	ck_assert_str_eq(ccp_json_str(err.details, "existingStatus"), "queued");
	ck_assert_str_eq(ccp_json_str(err.details, "nextRecommendedAction"), "poll_existing_turn");
	ck_assert_str_eq(ccp_json_str(ccp_json_obj(err.details, "dedupDecision"), "reason"),
			 "same_prompt_active");
	ck_assert_ptr_null(json_object_get(err.details, "existingTurnId"));
}

START_TEST(test_duplicate)
{
	struct fixture f;
	const struct asked asked = { .client_id = "c", .message = "do it" };
	const struct asked second = { .client_id = "d", .message = "do it" },
			   unchecked = { .message = "do it", .no_check = true },
			   elsewhere = { .message = "do it", .scope = "thread" },
			   other = { .message = "do that" };
	struct ccp_submitted got, more;

	setup(&f);
	got = submit(&f, &asked);
	check_duplicate(&f, &second, got.id);
	count(&f, "1|1\n");
	/* Other words, another thread, or somebody who knows what they do. */
	submit(&f, &other);
	submit(&f, &elsewhere);
	submit(&f, &unchecked);
	count(&f, "4|4\n");
	/* Once it has ended, the text may be sent again. */
	db_exec(f.db.path, "UPDATE operations SET active = 0, phase = 'failed', status = 'failed'");
	more = submit(&f, &second);
	ck_assert(!more.existed);
	done(&f);
}
END_TEST

START_TEST(test_resource_keys)
{
	struct fixture f;
	const struct asked a = { .message = "m", .keys = "[\"a\"]" },
			   b = { .message = "m", .keys = "[\"b\",\"c\"]" },
			   overlaps = { .message = "m", .keys = "[\"d\",\"c\"]" },
			   none = { .message = "m" }, empty = { .message = "m", .keys = "[]" },
			   apart = { .message = "m", .keys = "[\"e\"]" };
	struct ccp_submitted first, second;

	setup(&f);
	first = submit(&f, &a);
	second = submit(&f, &b);
	/* The second one is in the way, though the first is not. */
	check_duplicate(&f, &overlaps, second.id);
	check_duplicate(&f, &none, first.id);
	check_duplicate(&f, &empty, first.id);
	submit(&f, &apart);
	count(&f, "3|3\n");
	done(&f);
}
END_TEST

START_TEST(test_similar)
{
	struct fixture f;
	const struct asked first = { .message = LONG_TEXT }, near = { .message = LONG_TEXT " now" },
			   far = { .message = "Write a song about the sea and the wind and the "
					      "birds" },
			   image = { .message = LONG_TEXT "!", .input_items = "[]" };
	struct ccp_submitted got, other;

	setup(&f);
	got = submit(&f, &first);
	other = submit(&f, &near);
	ck_assert_uint_eq(json_array_size(other.similar), 1);
	ck_assert_str_eq(ccp_json_str(json_array_get(other.similar, 0), "operationId"), got.id);
	ck_assert_int_ge(ccp_json_int(json_array_get(other.similar, 0), "similarityPercent", 0),
			 90);
	ck_assert_int_lt(ccp_json_int(json_array_get(other.similar, 0), "similarityPercent", 0),
			 100);
	ccp_submitted_done(&other);
	other = submit(&f, &far);
	ck_assert_ptr_null(other.similar);
	other = submit(&f, &image);
	ck_assert_ptr_null(other.similar);
	done(&f);
}
END_TEST

/* Only the newest few are named. */
START_TEST(test_similar_bound)
{
	struct fixture f;
	struct ccp_submitted got = { 0 };
	char last[CCP_ID_SIZE];

	setup(&f);
	for (int i = 0; i < 8; i++) {
		_cleanup_free_ char *text = ccp_asprintf("%s %d", LONG_TEXT, i);
		const struct asked asked = { .message = text };

		snprintf(last, sizeof(last), "%s", got.id);
		ccp_submitted_done(&got);
		got = submit(&f, &asked);
	}
	ck_assert_uint_eq(json_array_size(got.similar), 5);
	ck_assert_str_eq(ccp_json_str(json_array_get(got.similar, 0), "operationId"), last);
	ccp_submitted_done(&got);
	done(&f);
}
END_TEST

START_TEST(test_continue_completed)
{
	struct fixture f;
	const struct asked asked = { .message = "m" },
			   again = { .message = "m", .continue_completed = true };
	struct ccp_submitted first, fresh, continued;
	_cleanup_op_ struct ccp_op op = { 0 };

	setup(&f);
	first = submit(&f, &asked);
	db_exec(f.db.path, "UPDATE operations SET active = 0, phase = 'completed', "
			   "status = 'completed', thread_id = 't'");
	fresh = submit(&f, &asked);
	ck_assert_str_eq(fresh.continued, "");
	db_exec(f.db.path, "UPDATE operations SET active = 0, phase = 'failed', status = 'failed', "
			   "thread_id = 'failed' WHERE active = 1");
	continued = submit(&f, &again);
	ck_assert_str_eq(continued.continued, first.id);
	ck_assert_str_ne(continued.id, first.id);
	ck_assert_int_eq(ccp_op_get(f.db.db, continued.id, &op, &db_err), 1);
	ck_assert_str_eq(op.type, "send_message");
	ck_assert_str_eq(op.thread_id, "t");
	ck_assert_str_eq(op.prompt_scope, "t");
	ck_assert_int_eq(op.thread_is_new, 0);
	done(&f);
}
END_TEST

/* Tries until the database is free; writes the id into out. */
static int submit_in_child(const char *path, int gate, int out)
{
	const struct asked asked = { .client_id = "c", .message = "m" };
	struct ccp_db *db = NULL;
	char c;

	if (ccp_db_open(path, CCP_DB_WRITE, &db, NULL) < 0 || read(gate, &c, 1) < 0)
		return 1;
	for (int i = 0; i < 2000; i++) {
		struct ccp_submitted got = { 0 };
		struct ccp_submit s;
		int r = ccp_db_begin(db, NULL);

		if (r == CODEXCP_E_STATE_BUSY) {
			usleep(1000);
			continue;
		}
		fill(&asked, &s);
		if (r == 0)
			r = ccp_op_submit(db, ccp_clock_system(), &s, &got, NULL);
		ccp_submit_done(&s);
		if (r < 0 || ccp_db_commit(db, NULL) < 0)
			return 2;
		ccp_db_close(db);
		return write(out, got.id, sizeof(got.id)) == sizeof(got.id) ? 0 : 3;
	}
	return 4;
}

START_TEST(test_race)
{
	enum { N = 6 };
	struct fixture f;
	char first[CCP_ID_SIZE] = "", id[CCP_ID_SIZE];
	int gate[2], out[2];
	pid_t pids[N];

	setup(&f);
	ccp_db_close(TAKE_PTR(f.db.db)); /* a connection does not survive a fork */
	ck_assert_int_eq(pipe(gate), 0);
	ck_assert_int_eq(pipe(out), 0);
	for (int i = 0; i < N; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0) {
			close(gate[1]);
			_exit(submit_in_child(f.db.path, gate[0], out[1]));
		}
	}
	close(gate[0]);
	close(gate[1]);
	close(out[1]);
	for (int i = 0; i < N; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		ck_assert_int_eq(read(out[0], id, sizeof(id)), sizeof(id));
		if (i)
			ck_assert_str_eq(id, first);
		memcpy(first, id, sizeof(first));
	}
	close(out[0]);
	count(&f, "1|1\n");
	done(&f);
}
END_TEST

CCP_TEST_MAIN("op_create", test_submit, test_replay, test_conflict, test_find_request, test_meaning,
	      test_duplicate, test_resource_keys, test_similar, test_similar_bound,
	      test_continue_completed, test_race)
