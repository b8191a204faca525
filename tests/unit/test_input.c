#include "domain/input.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "ccp_check.h"

#define PNG "data:image/png;base64,"

/* A root with images in it, beside it one that is outside, and what is allowed. */
struct world {
	char *top, *root, *outside;
	const char *roots[2];
	struct ccp_input_limits limits;
};

static void put(const char *dir, const char *name, size_t size)
{
	char *path = ccp_path_join(dir, name), *data = calloc(1, size + 1);

	ck_assert_int_eq(ccp_file_replace(path, data, size, 0600, NULL), 0);
	free(path);
	free(data);
}

static struct world make_world(void)
{
	struct world w = { .top = ccp_test_make_dir() };
	char *link;

	ck_assert_int_eq(ccp_path_canonical(w.top, &link, NULL), 0);
	w.root = ccp_path_join(link, "root");
	w.outside = ccp_path_join(link, "outside");
	free(link);
	ck_assert_int_eq(mkdir(w.root, 0700), 0);
	ck_assert_int_eq(mkdir(w.outside, 0700), 0);
	put(w.root, "a.png", 10);
	put(w.root, "B.JPEG", 100);
	put(w.root, "big.gif", 101);
	put(w.root, "notes.txt", 10);
	put(w.outside, "c.png", 10);
	link = ccp_path_join(w.root, "away.png");
	ck_assert_int_eq(symlink("../outside/c.png", link), 0);
	free(link);
	link = ccp_path_join(w.root, "near.txt");
	ck_assert_int_eq(symlink("a.png", link), 0);
	free(link);
	w.limits = (struct ccp_input_limits){ .max_items = 3, .max_bytes = 100, .cwd = w.root };
	return w;
}

static void drop_world(struct world *w)
{
	ccp_test_remove_dir(w->top);
	free(w->root);
	free(w->outside);
}

static int check(struct world *w, const char *items, json_t **ret, struct codexcp_error *err)
{
	json_auto_t *json = json_loads(items, JSON_DECODE_ANY, NULL);

	ck_assert_ptr_nonnull(json);
	w->roots[0] = w->root;
	w->limits.allowed_roots = w->roots;
	return ccp_input_items_check(json, &w->limits, ret, err);
}

static void check_passes(struct world *w, const char *items, const char *expected)
{
	struct codexcp_error err = { 0 };
	json_auto_t *result = NULL;
	char *text;

	ck_assert_msg(check(w, items, &result, &err) == 0, "%s: %s", items, err.message);
	text = ccp_json_dump(result, NULL);
	ck_assert_str_eq(text, expected);
	free(text);
}

static void check_refused(struct world *w, const char *items, const char *argument,
			  const char *expected)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_t *result = NULL;

	ck_assert_msg(check(w, items, &result, &err) == CODEXCP_E_INVALID_ARGUMENT, "%s", items);
	ck_assert_ptr_null(result);
	ck_assert_str_eq(ccp_json_str(err.details, "argument"), argument);
	ck_assert_msg(strstr(ccp_json_str(err.details, "expected"), expected) != NULL, "%s",
		      err.message);
}

START_TEST(test_images)
{
	struct world w = make_world();
	char *items, *expected;

	check_passes(&w, "[]", "[]");
	check_passes(&w, "[{\"type\":\"image\",\"url\":\"" PNG "QUJD\"}]",
		     "[{\"type\":\"image\",\"url\":\"" PNG "QUJD\"}]");
	check_passes(&w,
		     "[{\"type\":\"image\",\"url\":\"DATA:Image/svg+xml;charset=x;BASE64,QQ==\","
		     "\"detail\":\"high\"},{\"type\":\"image\",\"url\":\"" PNG
		     "QUI=\",\"detail\":null}]",
		     "[{\"type\":\"image\",\"url\":\"DATA:Image/svg+xml;charset=x;BASE64,QQ==\","
		     "\"detail\":\"high\"},{\"type\":\"image\",\"url\":\"" PNG "QUI=\"}]");
	items = ccp_asprintf(
		"[{\"type\":\"localImage\",\"path\":\"%s/./B.JPEG\",\"detail\":\"low\"},"
		"{\"type\":\"localImage\",\"path\":\"near.txt\"}]",
		w.root);
	expected = ccp_asprintf(
		"[{\"type\":\"localImage\",\"path\":\"%s/B.JPEG\",\"detail\":\"low\"},"
		"{\"type\":\"localImage\",\"path\":\"%s/a.png\"}]",
		w.root, w.root);
	check_passes(&w, items, expected);
	free(items);
	free(expected);
	drop_world(&w);
}
END_TEST

START_TEST(test_forms)
{
	struct world w = make_world();

	check_refused(&w, "{}", "input_items", "array");
	check_refused(&w, "[3]", "input_items[0]", "an object");
	check_refused(&w, "[{}]", "input_items[0].type", "image or localImage");
	check_refused(&w, "[{\"type\":\"text\",\"text\":\"x\"}]", "input_items[0].type",
		      "image or localImage");
	check_refused(&w, "[{\"type\":\"image\"}]", "input_items[0].url", "not empty");
	check_refused(&w, "[{\"type\":\"image\",\"url\":7}]", "input_items[0].url", "not empty");
	check_refused(&w, "[{\"type\":\"localImage\",\"path\":\" \"}]", "input_items[0].path",
		      "not empty");
	check_refused(&w,
		      "[{\"type\":\"localImage\",\"path\":\"a.png\"},"
		      "{\"type\":\"localImage\",\"path\":\"a.png\",\"detail\":\"huge\"}]",
		      "input_items[1].detail", "auto, low, high or original");
	drop_world(&w);
}
END_TEST

START_TEST(test_urls)
{
	static const char *const wrong[] = {
		"data:text/plain;base64,QUJD",
		"data:image/png,QUJD",
		PNG,
		"data:image/;base64,QUJD",
		PNG "QUJ",
		PNG "QUJDQ",
		PNG "QU=D",
		PNG "Q===",
		PNG "QUJD=",
		PNG "QU JD",
		PNG "QU-_",
		PNG "====",
		"file:///etc/passwd",
		"a.png",
	};
	struct world w = make_world();

	for (size_t i = 0; i < CCP_ARRAY_SIZE(wrong); i++) {
		char *items = ccp_asprintf("[{\"type\":\"image\",\"url\":\"%s\"}]", wrong[i]);

		check_refused(&w, items, "input_items[0].url", "data:image/...;base64");
		free(items);
	}
	check_refused(&w, "[{\"type\":\"image\",\"url\":\"https://example.com/a.png\"}]",
		      "input_items[0].url", "Codex fetches nothing");
	check_refused(&w, "[{\"type\":\"image\",\"url\":\"HTTP://example.com/a.png\"}]",
		      "input_items[0].url", "Codex fetches nothing");
	drop_world(&w);
}
END_TEST

START_TEST(test_files)
{
	struct world w = make_world();
	char *outside = ccp_asprintf("[{\"type\":\"localImage\",\"path\":\"%s/c.png\"}]",
				     w.outside);

	check_refused(&w, "[{\"type\":\"localImage\",\"path\":\"none.png\"}]",
		      "input_items[0].path", "exists");
	check_refused(&w, "[{\"type\":\"localImage\",\"path\":\".\"}]", "input_items[0].path",
		      "exists");
	check_refused(&w, "[{\"type\":\"localImage\",\"path\":\"notes.txt\"}]",
		      "input_items[0].path", "png");
	check_refused(&w, outside, "input_items[0].path", "allowed root");
	check_refused(&w, "[{\"type\":\"localImage\",\"path\":\"away.png\"}]",
		      "input_items[0].path", "allowed root");
	check_refused(&w, "[{\"type\":\"localImage\",\"path\":\"../outside/c.png\"}]",
		      "input_items[0].path", "allowed root");
	free(outside);
	drop_world(&w);
}
END_TEST

static char *image_of(size_t bytes)
{
	size_t digits = (bytes + 2) / 3 * 4, padding = (3 - bytes % 3) % 3;
	char *text = malloc(digits + 1);

	memset(text, 'A', digits);
	memset(text + digits - padding, '=', padding);
	text[digits] = '\0';
	return text;
}

static void check_too_big(struct world *w, const char *items, int64_t bytes)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_t *result = NULL;

	ck_assert_int_eq(check(w, items, &result, &err), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_eq(ccp_json_int(err.details, "index", -1), 0);
	ck_assert_int_eq(ccp_json_int(err.details, "maxBytes", 0), 100);
	ck_assert_int_eq(ccp_json_int(err.details, "actualBytes", 0), bytes);
}

START_TEST(test_sizes)
{
	struct world w = make_world();

	for (size_t bytes = 98; bytes < 104; bytes++) {
		char *image = image_of(bytes);
		char *items = ccp_asprintf("[{\"type\":\"image\",\"url\":\"" PNG "%s\"}]", image);

		if (bytes <= 100)
			check_passes(&w, items, items);
		else
			check_too_big(&w, items, (int64_t)bytes);
		free(image);
		free(items);
	}
	check_too_big(&w, "[{\"type\":\"localImage\",\"path\":\"big.gif\"}]", 101);
	drop_world(&w);
}
END_TEST

START_TEST(test_count)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct world w = make_world();
	json_t *result = NULL;

	ck_assert_int_eq(check(&w, "[1,2,3,4]", &result, &err), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_str_eq(ccp_json_str(err.details, "argument"), "input_items");
	ck_assert_int_eq(ccp_json_int(err.details, "maxItems", 0), 3);
	ck_assert_int_eq(ccp_json_int(err.details, "actualItems", 0), 4);
	w.limits.max_items = 0;
	check_refused(&w, "[{\"type\":\"localImage\",\"path\":\"a.png\"}]", "input_items", "fewer");
	drop_world(&w);
}
END_TEST

START_TEST(test_no_roots)
{
	struct world w = make_world();
	json_auto_t *items = json_loads("[{\"type\":\"localImage\",\"path\":\"a.png\"}]", 0, NULL);
	json_t *result = NULL;

	ck_assert_int_eq(ccp_input_items_check(items, &w.limits, &result, NULL),
			 CODEXCP_E_INVALID_ARGUMENT);
	drop_world(&w);
}
END_TEST

#define CLOSED "\"additionalProperties\":false"

START_TEST(test_schemas)
{
	static const char *const good[] = {
		"{\"type\":\"string\"}",
		"{\"type\":\"object\"," CLOSED "}",
		"{\"type\":\"object\",\"properties\":{}," CLOSED "}",
		"{\"type\":[\"object\",\"null\"],\"properties\":{\"a\":{\"type\":\"integer\"}},"
		"\"required\":[\"a\"]," CLOSED "}",
		"{\"type\":\"array\",\"items\":{\"enum\":[1,\"x\",null]}}",
		"{\"items\":[{\"type\":\"string\"},{\"$ref\":\"#/nowhere\"}]}",
		"{\"$defs\":{\"X\":{\"type\":\"boolean\"}},\"anyOf\":[{\"$ref\":\"#/$defs/X\"}]}",
	};
	struct codexcp_error err = { 0 };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(good); i++) {
		json_auto_t *schema = json_loads(good[i], 0, NULL);

		ck_assert_ptr_nonnull(schema);
		ck_assert_msg(ccp_output_schema_check(schema, &err) == 0, "%s: %s", good[i],
			      err.message);
	}
}
END_TEST

START_TEST(test_wrong_schemas)
{
	static const struct {
		const char *schema, *path, *expected;
	} wrong[] = {
		{ "[]", "$", "not empty" },
		{ "{}", "$", "not empty" },
		{ "{\"type\":\"text\"}", "$", "type" },
		{ "{\"type\":[]}", "$", "type" },
		{ "{\"type\":[\"string\",1]}", "$", "type" },
		{ "{\"type\":{}}", "$", "type" },
		{ "{\"type\":\"object\"}", "$", "additionalProperties: false" },
		{ "{\"properties\":{}}", "$", "additionalProperties: false" },
		{ "{\"type\":[\"null\",\"object\"]}", "$", "additionalProperties: false" },
		{ "{\"type\":\"object\",\"additionalProperties\":true}", "$",
		  "additionalProperties: false" },
		{ "{\"properties\":[]," CLOSED "}", "$.properties", "an object of schemas" },
		{ "{\"properties\":{\"a\":true}," CLOSED "}", "$.properties.a", "a schema" },
		{ "{\"properties\":{\"a\":{}}," CLOSED "}", "$", "required" },
		{ "{\"properties\":{\"a\":{}},\"required\":\"a\"," CLOSED "}", "$", "required" },
		{ "{\"properties\":{\"a\":{}},\"required\":[1]," CLOSED "}", "$", "required" },
		{ "{\"items\":3}", "$.items", "a schema or" },
		{ "{\"items\":[{\"type\":\"x\"}]}", "$.items[0]", "type" },
		{ "{\"allOf\":{}}", "$.allOf", "an array" },
		{ "{\"anyOf\":[{},7]}", "$.anyOf[1]", "a schema" },
		{ "{\"$defs\":[]}", "$.$defs", "an object of schemas" },
		{ "{\"properties\":{\"a\":{\"items\":[{\"$defs\":{\"X\":{\"type\":\"object\"}}}]}},"
		  "\"required\":[\"a\"]," CLOSED "}",
		  "$.properties.a.items[0].$defs.X", "additionalProperties: false" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(wrong); i++) {
		_cleanup_error_ struct codexcp_error err = { 0 };
		json_auto_t *schema = json_loads(wrong[i].schema, 0, NULL);

		ck_assert_ptr_nonnull(schema);
		ck_assert_msg(ccp_output_schema_check(schema, &err) == CODEXCP_E_INVALID_ARGUMENT,
			      "%s", wrong[i].schema);
		ck_assert_str_eq(ccp_json_str(err.details, "argument"), "output_schema");
		ck_assert_str_eq(ccp_json_str(err.details, "path"), wrong[i].path);
		ck_assert_msg(strstr(ccp_json_str(err.details, "expected"), wrong[i].expected) !=
				      NULL,
			      "%s: %s", wrong[i].schema, err.message);
	}
	ck_assert_int_eq(ccp_output_schema_check(NULL, NULL), CODEXCP_E_INVALID_ARGUMENT);
}
END_TEST

START_TEST(test_missing_names)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *schema = json_loads("{\"type\":\"object\",\"required\":[\"p5\"]," CLOSED "}",
					 0, NULL);
	json_t *properties = json_object();
	char name[16];

	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		json_object_set_new(properties, name, json_object());
	}
	json_object_set_new(schema, "properties", properties);
	ck_assert_int_eq(ccp_output_schema_check(schema, &err), CODEXCP_E_INVALID_ARGUMENT);
	properties = ccp_json_arr(err.details, "missingRequired");
	ck_assert_uint_eq(json_array_size(properties), 20);
	ck_assert_str_eq(json_string_value(json_array_get(properties, 0)), "p0");
	ck_assert_str_eq(json_string_value(json_array_get(properties, 5)), "p6");
}
END_TEST

START_TEST(test_schema_size)
{
	json_auto_t *schema = json_object();
	size_t room = 50000 - strlen("{\"title\":\"\"}");
	char *title = malloc(2 * room + 3);
	_cleanup_error_ struct codexcp_error err = { 0 };

	for (size_t i = 0; i <= room; i++)
		memcpy(title + 2 * i, "\u00e9", 2);
	title[2 * room] = '\0';
	json_object_set_new(schema, "title", json_string(title));
	ck_assert_int_eq(ccp_output_schema_check(schema, &err), 0);
	title[2 * room] = 'x';
	title[2 * room + 1] = '\0';
	json_object_set_new(schema, "title", json_string(title));
	ck_assert_int_eq(ccp_output_schema_check(schema, &err), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_eq(ccp_json_int(err.details, "maxChars", 0), 50000);
	ck_assert_int_eq(ccp_json_int(err.details, "actualChars", 0), 50001);
	free(title);
}
END_TEST

CCP_TEST_MAIN("input", test_images, test_forms, test_urls, test_files, test_sizes, test_count,
	      test_no_roots, test_schemas, test_wrong_schemas, test_missing_names, test_schema_size)
