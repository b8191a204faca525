#include <ccp_check.h>

#include "base/str.h"
#include "domain/op_machine.h"

#define IS(step) CCP_STEP_IS_##step

/* Every step with every event under every combination of facts that a row may look at. */
struct walk {
	enum ccp_step step;
	enum ccp_op_event event;
	struct ccp_op_facts facts;
	struct ccp_op_decision d;
};

typedef void (*walk_fn)(const struct walk *w, void *data);

static const int64_t attempts[] = {
	0,
	1,
	CCP_OP_MAX_ATTEMPTS - 1,
	CCP_OP_MAX_ATTEMPTS,
};
static const int64_t overloads[] = { 0, CCP_OP_MAX_OVERLOADS - 1, CCP_OP_MAX_OVERLOADS };
static const int64_t crashes[] = { 0, CCP_OP_MAX_CRASHES - 1, CCP_OP_MAX_CRASHES };

static void walk_counts(struct walk *w, walk_fn fn, void *data)
{
	for (size_t a = 0; a < CCP_ARRAY_SIZE(attempts); a++)
		for (size_t o = 0; o < CCP_ARRAY_SIZE(overloads); o++)
			for (size_t c = 0; c < CCP_ARRAY_SIZE(crashes); c++) {
				w->facts.attempt = attempts[a];
				w->facts.overloads = overloads[o];
				w->facts.crash_count = crashes[c];
				w->d = ccp_op_decide(w->step, w->event, &w->facts);
				fn(w, data);
			}
}

static void walk_facts(struct walk *w, walk_fn fn, void *data)
{
	for (unsigned bits = 0; bits < 256; bits++) {
		w->facts = (struct ccp_op_facts){
			.app_server_ready = bits & 1,
			.interrupt_asked = bits & 2,
			.read_only = bits & 4,
			.thread_is_new = bits & 8,
			.may_continue = bits & 16,
			.codex_lives = bits & 32,
			.quota_waits_left = bits & 64,
			.quota_held = bits & 128,
		};
		walk_counts(w, fn, data);
	}
}

static void walk_all(walk_fn fn, void *data)
{
	for (size_t s = 0; s < ccp_step_count(); s++)
		for (size_t e = 0; e < ccp_op_event_count(); e++) {
			struct walk w = { .step = (enum ccp_step)s, .event = (enum ccp_op_event)e };

			walk_facts(&w, fn, data);
		}
}

/* With where it failed; libcheck notes every check of its own, and there are many millions. */
#define CHECK(w, condition)                                                                        \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s + %s -> %s (attempt %d, overloads %d, crashes %d): %s",   \
				     ccp_step_row((w)->step)->phase,                               \
				     ccp_op_event_name((w)->event),                                \
				     ccp_step_row((w)->d.next)->phase, (int)(w)->facts.attempt,    \
				     (int)(w)->facts.overloads, (int)(w)->facts.crash_count,       \
				     #condition);                                                  \
	} while (0)

static bool ended(enum ccp_step step)
{
	return ccp_step_row(step)->flags & CCP_STEP_TERMINAL;
}

static bool is_absence(enum ccp_op_event event)
{
	return event == CCP_OP_ABSENT || event == CCP_OP_ABSENT_POWER_LOSS;
}

static bool is_waiting(enum ccp_step step)
{
	return step == IS(QUEUED) || step == IS(WAITING_FOR_QUOTA);
}

static bool is_live(enum ccp_step step)
{
	return step == IS(RUNNING) || step == IS(WAITING_FOR_APPROVAL) ||
	       step == IS(WAITING_FOR_USER_INPUT);
}

static void check_sound(const struct walk *w, void *data)
{
	const struct ccp_op_decision *d = &w->d;
	bool slot = ccp_step_row(d->next)->flags & CCP_STEP_SLOT;

	CHECK(w, !ended(w->step) || !d->matched);
	if (!d->matched) {
		CHECK(w, d->next == w->step && d->effects == 0);
		return;
	}
	CHECK(w, !ended(d->next) || d->effects == 0);
	CHECK(w, d->reason == NULL || ended(d->next) || d->next == IS(LOOKING_UP));
	/* What is sent belongs to a step that says so. */
	CHECK(w, !!(d->effects & CCP_EFFECT_START_APP_SERVER) ==
			 (d->next == IS(CLAIMED) && is_waiting(w->step)));
	CHECK(w, !!(d->effects & CCP_EFFECT_SEND_THREAD) == (d->next == IS(THREAD_SENT)));
	CHECK(w, !!(d->effects & CCP_EFFECT_SEND_TURN) ==
			 (d->next == IS(TURN_SENT) && w->step == IS(THREAD_SENT)));
	CHECK(w, !(d->effects & CCP_EFFECT_SEND_INTERRUPT) || d->next == IS(RUNNING));
	CHECK(w, !!(d->effects & CCP_EFFECT_LOOK_UP) ==
			 (d->next == IS(LOOKING_UP) && w->event != CCP_OP_INTERRUPT));
	/* Who waits is queued or looks again; attempts are given back, and threads forgotten, on
	 * the way to the queue only. */
	CHECK(w, !(d->effects & (CCP_EFFECT_WAIT_BACKOFF | CCP_EFFECT_WAIT_SHORT)) ||
			 d->next == IS(QUEUED) || d->next == IS(LOOKING_UP));
	CHECK(w, !(d->effects & CCP_EFFECT_FREE_ATTEMPT) || is_waiting(d->next));
	CHECK(w, !(d->effects & CCP_EFFECT_FORGET_THREAD) || d->next == IS(QUEUED));
	CHECK(w, !(d->effects & (CCP_EFFECT_WAIT_QUOTA | CCP_EFFECT_READ_LIMITS)) ||
			 d->next == IS(WAITING_FOR_QUOTA));
	CHECK(w, !(d->effects & CCP_EFFECT_LET_GO) || d->next == IS(RUNNING));
	CHECK(w, !(d->effects & CCP_EFFECT_CLEAN_STEP) || slot);
}

START_TEST(test_sound)
{
	walk_all(check_sound, NULL);
}
END_TEST

static void note_edge(const struct walk *w, void *data)
{
	bool(*reaches)[16] = data;

	reaches[w->step][w->d.next] = true;
}

START_TEST(test_all_can_end)
{
	bool reaches[16][16] = { 0 };
	size_t n = ccp_step_count();

	walk_all(note_edge, reaches);
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < n; j++)
				reaches[i][j] |= reaches[i][k] && reaches[k][j];
	for (size_t i = 0; i < n; i++) {
		bool can_end = false;

		for (size_t j = 0; j < n; j++)
			can_end |= reaches[i][j] && ended((enum ccp_step)j);
		ck_assert_msg(can_end, "%s", ccp_step_row((enum ccp_step)i)->phase);
		/* And each is reached from the queue. */
		ck_assert_msg(reaches[IS(QUEUED)][i], "%s", ccp_step_row((enum ccp_step)i)->phase);
	}
}
END_TEST

static void check_interrupt(const struct walk *w, void *data)
{
	if (w->event == CCP_OP_INTERRUPT &&
	    (is_waiting(w->step) || w->step == IS(CLAIMED) || w->step == IS(THREAD_SENT))) {
		CHECK(w, w->d.next == IS(INTERRUPTED));
		CHECK(w, ccp_streq(w->d.reason, "interrupted_by_request"));
	}
	if (w->event == CCP_OP_INTERRUPT && is_live(w->step))
		CHECK(w, w->d.effects & CCP_EFFECT_SEND_INTERRUPT);
	/* A wish is not forgotten: it is passed on as soon as the turn is known, and no turn is
	 * begun. */
	if (!w->facts.interrupt_asked)
		return;
	if (w->event == CCP_OP_TURN_STARTED && w->d.matched)
		CHECK(w, w->d.effects & CCP_EFFECT_SEND_INTERRUPT);
	if (w->step == IS(TURN_SENT) || w->step == IS(LOOKING_UP) || is_live(w->step))
		CHECK(w, !is_waiting(w->d.next));
	if (w->event == CCP_OP_QUOTA_EXCEEDED && w->d.matched)
		CHECK(w, ccp_streq(w->d.reason, "interrupted_by_request"));
	if (w->event == CCP_OP_TURN_INTERRUPTED && w->d.matched)
		CHECK(w, ccp_streq(w->d.reason, "interrupted_by_request"));
}

START_TEST(test_interrupt)
{
	walk_all(check_interrupt, NULL);
}
END_TEST

/*
 * The heart of it: a turn that may have run is sent again on evidence only that it did not. What
 * goes on from its end is another turn.
 */
static void check_no_second_run(const struct walk *w, void *data)
{
	enum ccp_step next = w->d.next;
	bool continues = w->d.effects & CCP_EFFECT_CONTINUE;

	if (w->step == IS(LOOKING_UP))
		CHECK(w, next == IS(LOOKING_UP) || next == IS(RUNNING) || ended(next) ||
				 continues || (next == IS(QUEUED) && is_absence(w->event)));
	else
		CHECK(w, !is_absence(w->event) || !w->d.matched);
	if (is_live(w->step))
		CHECK(w, next == IS(LOOKING_UP) || is_live(next) || ended(next) || continues);
	/* Codex said no, so it does not run. */
	if (w->step == IS(TURN_SENT) && next == IS(QUEUED) && !continues)
		CHECK(w, w->event == CCP_OP_OVERLOADED || w->event == CCP_OP_TRANSIENT ||
				 w->event == CCP_OP_THREAD_ELSEWHERE);
	if (w->step == IS(TURN_SENT) || w->step == IS(LOOKING_UP))
		CHECK(w, !(w->d.effects & (CCP_EFFECT_SEND_TURN | CCP_EFFECT_SEND_THREAD)));
	/* A lost history proves nothing about a turn that can write. */
	if (w->event == CCP_OP_ABSENT_POWER_LOSS && !w->facts.read_only && w->d.matched)
		CHECK(w, next == (w->facts.interrupt_asked ? IS(INTERRUPTED) : IS(UNKNOWN)));
	/* A thread that others have spoken in is never exchanged for a new one. */
	if (w->d.effects & CCP_EFFECT_FORGET_THREAD)
		CHECK(w, w->facts.thread_is_new && is_absence(w->event));
}

START_TEST(test_no_second_run)
{
	walk_all(check_no_second_run, NULL);
}
END_TEST

/* A turn is gone on from when its end is known: cut with its process, and that was wanted; or at
 * the account's limit. */
static void check_continuing(const struct walk *w, void *data)
{
	bool continues = w->d.effects & CCP_EFFECT_CONTINUE;
	bool counts = w->d.effects & CCP_EFFECT_COUNT_CONTINUATION;

	CHECK(w, !counts || continues);
	if (!continues)
		return;
	CHECK(w, !w->facts.interrupt_asked);
	CHECK(w, w->step == IS(TURN_SENT) || w->step == IS(LOOKING_UP) || is_live(w->step));
	CHECK(w, w->d.effects & CCP_EFFECT_FREE_ATTEMPT);
	if (counts) {
		CHECK(w, w->step == IS(LOOKING_UP) && w->event == CCP_OP_TURN_INTERRUPTED);
		CHECK(w, w->facts.may_continue && !w->facts.codex_lives);
		CHECK(w, w->d.next == IS(QUEUED));
		CHECK(w, w->d.queued_reason == CCP_QUEUED_CONTINUING);
	} else {
		CHECK(w, w->event == CCP_OP_QUOTA_EXCEEDED && w->facts.quota_waits_left);
		CHECK(w, w->d.next == IS(WAITING_FOR_QUOTA));
	}
}

START_TEST(test_continuing)
{
	walk_all(check_continuing, NULL);
}
END_TEST

static void check_quota(const struct walk *w, void *data)
{
	const struct ccp_op_decision *d = &w->d;

	if (d->matched && d->next == IS(WAITING_FOR_QUOTA))
		CHECK(w, w->event == CCP_OP_QUOTA_EXCEEDED || w->event == CCP_OP_QUOTA_TOLD ||
				 w->event == CCP_OP_QUOTA_OVER);
	/* Out of it leads the scheduler, or somebody who does not want it any more. */
	if (w->step == IS(WAITING_FOR_QUOTA) && d->next != w->step)
		CHECK(w, w->event == CCP_OP_CLAIM || w->event == CCP_OP_INTERRUPT);
	if (w->event == CCP_OP_QUOTA_EXCEEDED && d->matched && !w->facts.interrupt_asked)
		CHECK(w,
		      d->next == (w->facts.quota_waits_left ? IS(WAITING_FOR_QUOTA) : IS(FAILED)));
	/* Others are let go once. */
	CHECK(w, !(d->effects & CCP_EFFECT_LET_GO) || w->facts.quota_held);
}

START_TEST(test_quota)
{
	walk_all(check_quota, NULL);
}
END_TEST

static void check_success(const struct walk *w, void *data)
{
	CHECK(w, w->d.next != IS(COMPLETED) || !w->d.matched || w->event == CCP_OP_TURN_COMPLETED);
	/* Codex's word counts wherever the turn may have been sent. */
	if (w->step == IS(TURN_SENT) || w->step == IS(LOOKING_UP) || is_live(w->step)) {
		CHECK(w, w->event != CCP_OP_TURN_COMPLETED || w->d.next == IS(COMPLETED));
		CHECK(w, w->event != CCP_OP_TURN_FAILED || w->d.next == IS(FAILED));
		CHECK(w, w->event != CCP_OP_TURN_INTERRUPTED || w->d.next == IS(INTERRUPTED) ||
				 w->d.effects & CCP_EFFECT_CONTINUE);
	} else {
		CHECK(w, w->event != CCP_OP_TURN_COMPLETED || !w->d.matched);
	}
}

START_TEST(test_success)
{
	walk_all(check_success, NULL);
}
END_TEST

static void check_bounds(const struct walk *w, void *data)
{
	bool crashed = w->facts.crash_count >= CCP_OP_MAX_CRASHES;

	bool starting = w->step == IS(CLAIMED) || w->step == IS(THREAD_SENT);

	if (w->event == CCP_OP_WORKER_LOST && !is_waiting(w->step) && !ended(w->step)) {
		/* Whether a turn that was sent has run is not known, so it has not failed. */
		CHECK(w, (w->d.next == (starting ? IS(FAILED) : IS(UNKNOWN))) == crashed);
		CHECK(w, w->d.matched);
	}
	/* An app-server that dies of the operation is not started for it for ever. */
	if (w->event == CCP_OP_CONNECTION_LOST && starting)
		CHECK(w, w->d.next == (crashed ? IS(FAILED) : IS(QUEUED)));
	if (w->event == CCP_OP_ABSENT && w->step == IS(LOOKING_UP) && crashed)
		CHECK(w, w->d.next != IS(QUEUED));
	if (w->d.next == IS(FAILED) && w->d.matched &&
	    (w->event == CCP_OP_TRANSIENT || w->event == CCP_OP_OUTCOME_UNKNOWN))
		CHECK(w, w->facts.attempt >= CCP_OP_MAX_ATTEMPTS);
	/* What counts as an attempt ends one day; what is free does not depend on the count. */
	if (w->d.matched && w->d.next == IS(QUEUED) && !(w->d.effects & CCP_EFFECT_FREE_ATTEMPT)) {
		CHECK(w, w->facts.attempt < CCP_OP_MAX_ATTEMPTS);
		CHECK(w, w->d.effects & CCP_EFFECT_WAIT_BACKOFF);
	}
}

/* Counted for itself: attempts that are used up do not end it, nor the other way round. */
static void check_overload(const struct walk *w, void *data)
{
	bool counts = w->d.effects & CCP_EFFECT_COUNT_OVERLOAD;

	CHECK(w,
	      counts == (w->d.matched && w->event == CCP_OP_OVERLOADED && w->d.next == IS(QUEUED)));
	if (w->event != CCP_OP_OVERLOADED || !w->d.matched || w->step == IS(LOOKING_UP) ||
	    w->d.next == IS(INTERRUPTED))
		return;
	CHECK(w,
	      w->d.next == (w->facts.overloads < CCP_OP_MAX_OVERLOADS ? IS(QUEUED) : IS(FAILED)));
	CHECK(w, !counts || (w->d.effects & CCP_EFFECT_FREE_ATTEMPT &&
			     w->d.effects & CCP_EFFECT_WAIT_BACKOFF));
}

START_TEST(test_overload)
{
	walk_all(check_overload, NULL);
}
END_TEST

START_TEST(test_bounds)
{
	walk_all(check_bounds, NULL);
}
END_TEST

/* Not the operation's fault, so no attempt of it. */
START_TEST(test_free_attempts)
{
	static const struct {
		enum ccp_step step;
		enum ccp_op_event event;
		bool is_free;
	} rows[] = {
		{ IS(CLAIMED), CCP_OP_APP_SERVER_UNAVAILABLE, true },
		{ IS(THREAD_SENT), CCP_OP_THREAD_BUSY, true },
		{ IS(THREAD_SENT), CCP_OP_THREAD_ELSEWHERE, true },
		{ IS(TURN_SENT), CCP_OP_THREAD_ELSEWHERE, true },
		{ IS(THREAD_SENT), CCP_OP_CONNECTION_LOST, true },
		{ IS(THREAD_SENT), CCP_OP_WORKER_LOST, true },
		{ IS(LOOKING_UP), CCP_OP_ABSENT, true },
		{ IS(THREAD_SENT), CCP_OP_TRANSIENT, false },
		{ IS(TURN_SENT), CCP_OP_TRANSIENT, false },
		{ IS(THREAD_SENT), CCP_OP_OUTCOME_UNKNOWN, false },
		{ IS(THREAD_SENT), CCP_OP_OVERLOADED, true },
		{ IS(TURN_SENT), CCP_OP_OVERLOADED, true },
	};
	const struct ccp_op_facts facts = { .attempt = 1 };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct ccp_op_decision d = ccp_op_decide(rows[i].step, rows[i].event, &facts);

		ck_assert_int_eq(d.next, IS(QUEUED));
		ck_assert_int_eq(!!(d.effects & CCP_EFFECT_FREE_ATTEMPT), rows[i].is_free);
	}
}
END_TEST

START_TEST(test_path)
{
	static const struct {
		enum ccp_op_event event;
		enum ccp_step to;
		unsigned effects;
	} rows[] = {
		{ CCP_OP_CLAIM, IS(CLAIMED), CCP_EFFECT_START_APP_SERVER },
		{ CCP_OP_APP_SERVER_READY, IS(THREAD_SENT), CCP_EFFECT_SEND_THREAD },
		{ CCP_OP_THREAD_READY, IS(TURN_SENT), CCP_EFFECT_SEND_TURN },
		{ CCP_OP_TURN_STARTED, IS(RUNNING), CCP_EFFECT_CLEAN_STEP },
		{ CCP_OP_APPROVAL_OPENED, IS(WAITING_FOR_APPROVAL), 0 },
		{ CCP_OP_INPUT_OPENED, IS(WAITING_FOR_USER_INPUT), 0 },
		{ CCP_OP_ANSWERED, IS(RUNNING), 0 },
		{ CCP_OP_CONNECTION_LOST, IS(LOOKING_UP), CCP_EFFECT_LOOK_UP },
		{ CCP_OP_TURN_STARTED, IS(RUNNING), CCP_EFFECT_CLEAN_STEP },
		{ CCP_OP_TURN_STARTED, IS(RUNNING), 0 }, /* again: nothing */
		{ CCP_OP_TURN_COMPLETED, IS(COMPLETED), 0 },
		{ CCP_OP_TURN_FAILED, IS(COMPLETED), 0 },
	};
	struct ccp_op_facts facts = { .attempt = 1 };
	enum ccp_step step = IS(QUEUED);

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct ccp_op_decision d = ccp_op_decide(step, rows[i].event, &facts);

		ck_assert_int_eq(d.next, rows[i].to);
		ck_assert_uint_eq(d.effects, rows[i].effects);
		step = d.next;
	}
	facts.app_server_ready = true;
	ck_assert_int_eq(ccp_op_decide(IS(QUEUED), CCP_OP_CLAIM, &facts).next, IS(THREAD_SENT));
}
END_TEST

struct used {
	unsigned effects, events, reasons, steps;
};

static void note_used(const struct walk *w, void *data)
{
	struct used *used = data;

	if (!w->d.matched)
		return;
	used->effects |= w->d.effects;
	used->events |= 1u << w->event;
	used->steps |= 1u << w->d.next;
	if (w->d.next == IS(QUEUED))
		used->reasons |= 1u << w->d.queued_reason;
}

START_TEST(test_all_used)
{
	struct used used = { 0 };
	unsigned effects = 0;

	walk_all(note_used, &used);
#define X(effect, bit, name) effects |= CCP_EFFECT_##effect;
	CCP_OP_EFFECTS(X)
#undef X
	ck_assert_uint_eq(used.effects, effects);
	ck_assert_uint_eq(used.events, (1u << ccp_op_event_count()) - 1);
	ck_assert_uint_eq(used.steps, (1u << ccp_step_count()) - 1);
	/* The limits' reasons are the scheduler's own. */
	ck_assert_uint_eq(used.reasons, 1u << CCP_QUEUED_WORKER | 1u << CCP_QUEUED_THREAD |
						1u << CCP_QUEUED_ELSEWHERE |
						1u << CCP_QUEUED_APP_SERVER |
						1u << CCP_QUEUED_OVERLOAD | 1u << CCP_QUEUED_RETRY |
						1u << CCP_QUEUED_CONTINUING);
}
END_TEST

/* Every word of the tables is on the page, and the tables are tables. */
START_TEST(test_markdown)
{
	char *page = ccp_op_machine_markdown(), *copy;
	int columns = 0;

	ck_assert_ptr_nonnull(page);
#define X(effect, bit, name) ck_assert_msg(strstr(page, name) != NULL, "%s", name);
	CCP_OP_EFFECTS(X)
#undef X
	for (size_t i = 0; i < ccp_step_count(); i++)
		ck_assert_ptr_nonnull(strstr(page, ccp_step_row((enum ccp_step)i)->phase));
	for (size_t i = 0; i < ccp_op_event_count(); i++)
		ck_assert_ptr_nonnull(strstr(page, ccp_op_event_name((enum ccp_op_event)i)));
	for (size_t i = 0; i < ccp_queued_reason_count(); i++)
		ck_assert_ptr_nonnull(
			strstr(page, ccp_queued_reason_meaning((enum ccp_queued_reason)i)));
	copy = strdup(page);
	for (char *rest = copy, *line; (line = strsep(&rest, "\n"));) {
		int n = 0;

		for (const char *c = line; *c; c++)
			n += *c == '|';
		if (n && columns)
			ck_assert_msg(n == columns, "%s", line);
		columns = n;
	}
	free(copy);
	free(page);
}
END_TEST

/* CCP_WRITE_DOCS=1 prints the page anew. */
START_TEST(test_page_is_current)
{
	char *page = ccp_op_machine_markdown(), *stored = NULL;
	size_t size = 0;
	FILE *file;

	ck_assert_ptr_nonnull(page);
	if (getenv("CCP_WRITE_DOCS")) {
		file = fopen(DOCS_DIR "/STATE-MACHINES.md", "we");
		ck_assert_ptr_nonnull(file);
		fputs(page, file);
		fclose(file);
	}
	file = fopen(DOCS_DIR "/STATE-MACHINES.md", "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_gt(getdelim(&stored, &size, '\0', file), 0);
	fclose(file);
	/* Too long for a message. */
	ck_assert_msg(strcmp(stored, page) == 0, "run this test with CCP_WRITE_DOCS=1");
	free(stored);
	free(page);
}
END_TEST

CCP_TEST_MAIN("op_machine", test_sound, test_all_can_end, test_interrupt, test_no_second_run,
	      test_continuing, test_quota, test_success, test_bounds, test_overload,
	      test_free_attempts, test_path, test_all_used, test_markdown, test_page_is_current)
