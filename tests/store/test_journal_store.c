#include <ccp_db_check.h>

#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "store/journal_store.h"

#define SECRET "ghp_abcdefghijklmnopqrstuvwxyz0123456789"

static struct ccp_journal_row journal_row(const char *text, const char *data)
{
	return (struct ccp_journal_row){
		.at = 10,
		.op_id = "op",
		.thread_id = "t",
		.turn_id = "1",
		.item_id = "i",
		.category = "warning",
		.severity = "warning",
		.progress = 1,
		.text = (char *)text,
		.data = (char *)data,
	};
}

/* What is stored of a row with this text and data. */
static void store(struct ccp_db *db, const char *text, const char *data)
{
	const struct ccp_journal_row row = journal_row(text, data);

	OK(ccp_journal_append(db, &row, &db_err));
}

static char *times(const char *unit, size_t n)
{
	size_t len = strlen(unit);
	char *text = calloc(n * len + 1, 1);

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * len, unit, len);
	return text;
}

struct last {
	struct ccp_journal_row row;
	int n;
};

static int keep_first(const void *at, void *data)
{
	const struct ccp_journal_row *row = at;
	struct last *last = data;

	last->n++;
	last->row = *row;
#define TEXT(name) last->row.name = row->name ? strdup(row->name) : NULL;
#define INT(name)
	CCP_JOURNAL_COLUMNS(TEXT, INT)
#undef TEXT
#undef INT
	return 1;
}

static struct ccp_journal_row newest(struct ccp_db *db)
{
	struct last last = { 0 };

	OK(ccp_journal_each(db, "op", 1, keep_first, &last, &db_err));
	ck_assert_int_eq(last.n, 1);
	return last.row;
}

START_TEST(test_round_trip)
{
	struct db_fixture f;
	struct ccp_journal_row want = journal_row("text", "{\"a\":1}"), got;

	db_setup(&f);
	want.id = 777; /* not read */
	OK(ccp_journal_append(f.db, &want, &db_err));
	got = newest(f.db);
	want.id = 1;
#define TEXT(name) ck_assert_pstr_eq(want.name, got.name);
#define INT(name)  ck_assert_int_eq(want.name, got.name);
	CCP_JOURNAL_COLUMNS(TEXT, INT)
#undef TEXT
#undef INT
	ccp_journal_row_done(&got);
	db_expect(f.path, "SELECT chars FROM journal", "4\n");
	db_done(&f);
}
END_TEST

START_TEST(test_no_text_no_data)
{
	struct db_fixture f;
	struct ccp_journal_row got;

	db_setup(&f);
	store(f.db, NULL, NULL);
	got = newest(f.db);
	ck_assert_ptr_null(got.text);
	ck_assert_ptr_null(got.data);
	ccp_journal_row_done(&got);
	db_done(&f);
}
END_TEST

START_TEST(test_bounds)
{
	struct db_fixture f;
	struct ccp_journal_row got;
	char *text = times("\xc3\xa4", 3 * CCP_JOURNAL_TEXT_MAX), *longest, *data;

	db_setup(&f);
	store(f.db, text, NULL);
	got = newest(f.db);
	ck_assert_uint_eq(ccp_utf8_chars(got.text, strlen(got.text)), CCP_JOURNAL_TEXT_MAX);
	ck_assert(ccp_utf8_valid(got.text, strlen(got.text)));
	ccp_journal_row_done(&got);
	free(text);

	/* JSON is whole or not there. */
	text = times("x", CCP_JOURNAL_DATA_MAX - 8);
	longest = ccp_asprintf("{\"a\":\"%s\"}", text);
	ck_assert_uint_eq(strlen(longest), CCP_JOURNAL_DATA_MAX);
	data = ccp_asprintf("{\"a\":\"%sx\"}", text);
	store(f.db, "t", longest);
	got = newest(f.db);
	ck_assert_str_eq(got.data, longest);
	ccp_journal_row_done(&got);
	store(f.db, "t", data);
	got = newest(f.db);
	ck_assert_str_eq(got.text, "t");
	ck_assert_ptr_null(got.data);
	ccp_journal_row_done(&got);
	free(text);
	free(longest);
	free(data);
	db_done(&f);
}
END_TEST

/* In a word that the bound cuts in two, the first half is a secret too. */
START_TEST(test_redaction)
{
	struct db_fixture f;
	struct ccp_journal_row got;
	char *filler = times(" x", CCP_JOURNAL_TEXT_MAX / 2 - 8), *text;

	db_setup(&f);
	text = ccp_asprintf("%s " SECRET " " SECRET, filler);
	store(f.db, text, NULL);
	store(f.db, "use " SECRET " there", "{\"token\":12,\"line\":\"a\\n" SECRET "\"}");
	got = newest(f.db);
	ck_assert_str_eq(got.text, "use [redacted] there");
	ck_assert_str_eq(got.data, "{\"token\":12,\"line\":\"a\\n[redacted]\"}");
	ccp_journal_row_done(&got);
	db_expect(f.path,
		  "SELECT count(*) FROM journal WHERE text LIKE '%ghp%' OR data LIKE '%ghp%'",
		  "0\n");
	free(filler);
	free(text);
	db_done(&f);
}
END_TEST

/* Marks are longer than short secrets: data that grew over the bound must not be cut into half a
 * document. */
START_TEST(test_redaction_grows)
{
	struct db_fixture f;
	struct ccp_journal_row got;
	char *pairs = times("PASSWORD=s3cr3t-9 ", (CCP_JOURNAL_DATA_MAX - 20) / 18), *data;

	db_setup(&f);
	data = ccp_asprintf("{\"a\":\"%s\"}", pairs);
	ck_assert_uint_le(strlen(data), CCP_JOURNAL_DATA_MAX);
	store(f.db, NULL, data);
	got = newest(f.db);
	ck_assert_ptr_null(got.data);
	ccp_journal_row_done(&got);
	free(pairs);
	free(data);
	db_done(&f);
}
END_TEST

/* Lists */

static int join(const void *at, void *data)
{
	const struct ccp_journal_row *row = at;
	char *text = data;
	size_t len = strlen(text);

	snprintf(text + len, 256 - len, "%s;", row->text);
	return 0;
}

static void add(struct ccp_db *db, const char *op, const char *turn, const char *text, int progress,
		int64_t at)
{
	struct ccp_journal_row row = journal_row(text, NULL);

	row.op_id = (char *)op;
	row.turn_id = (char *)turn;
	row.progress = progress;
	row.at = at;
	OK(ccp_journal_append(db, &row, &db_err));
}

START_TEST(test_tail)
{
	struct db_fixture f;
	char op[256] = "", turn[256] = "", all[256] = "", none[256] = "";
	int64_t count = -1, latest = -1;

	db_setup(&f);
	OK(ccp_journal_count_progress(f.db, "op", NULL, NULL, &count, &latest, &db_err));
	ck_assert_int_eq(count, 0);
	ck_assert_int_eq(latest, 0);
	add(f.db, "op", "1", "a", 1, 10);
	add(f.db, "op", "1", "b", 1, 30);
	add(f.db, "op", "1", "silent", 0, 40);
	add(f.db, "op2", "1", "c", 1, 50);
	add(f.db, "op", NULL, "d", 1, 20);
	OK(ccp_journal_each_progress(f.db, "op", "t", "1", 2, join, op, &db_err));
	ck_assert_str_eq(op, "b;d;");
	OK(ccp_journal_each_progress(f.db, NULL, "t", "1", 2, join, turn, &db_err));
	ck_assert_str_eq(turn, "b;c;");
	OK(ccp_journal_each(f.db, "op", 3, join, all, &db_err));
	ck_assert_str_eq(all, "d;silent;b;");
	OK(ccp_journal_each_progress(f.db, NULL, "t", "2", 9, join, none, &db_err));
	ck_assert_str_eq(none, "");
	OK(ccp_journal_count_progress(f.db, "op", NULL, NULL, &count, &latest, &db_err));
	ck_assert_int_eq(count, 3);
	ck_assert_int_eq(latest, 30);
	OK(ccp_journal_count_progress(f.db, NULL, "t", "1", &count, &latest, &db_err));
	ck_assert_int_eq(count, 3);
	ck_assert_int_eq(latest, 50);
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("journal_store", test_round_trip, test_no_text_no_data, test_bounds, test_redaction,
	      test_redaction_grows, test_tail)
