#include "domain/project.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "ccp_check.h"
#include "domain/roots.h"

/* Everything that is made stands below `top`, which is canonical. */
struct world {
	char *dir, *top;
	char *made[64]; /* freed in the end */
	size_t n;
};

static const char *at(struct world *w, const char *name)
{
	ck_assert_uint_lt(w->n, CCP_ARRAY_SIZE(w->made));
	w->made[w->n] = ccp_path_join(w->top, name);
	return w->made[w->n++];
}

static void make(struct world *w, const char *name)
{
	ck_assert_int_eq(ccp_dir_make(at(w, name), 0700, NULL), 0);
}

static void put(struct world *w, const char *name, const char *text)
{
	ck_assert_int_eq(ccp_file_replace(at(w, name), text, strlen(text), 0600, NULL), 0);
}

static void link_to(struct world *w, const char *target, const char *name)
{
	ck_assert_int_eq(symlink(target, at(w, name)), 0);
}

static struct world make_world(void)
{
	struct world w = { .dir = ccp_test_make_dir() };

	ck_assert_int_eq(ccp_path_canonical(w.dir, &w.top, NULL), 0);
	make(&w, "projects/alpha/src");
	make(&w, "projects/beta");
	make(&w, "projects/.hidden");
	put(&w, "projects/file", "x");
	make(&w, "other/gamma");
	make(&w, "home");
	link_to(&w, "../other/gamma", "projects/out");
	link_to(&w, "alpha", "projects/same");
	return w;
}

static void drop_world(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->made[i]);
	free(w->top);
	ccp_test_remove_dir(w->dir);
}

static struct ccp_project_places places_of(struct world *w)
{
	return (struct ccp_project_places){ .projects_root = at(w, "projects"),
					    .cwd = at(w, "other"),
					    .home = at(w, "home") };
}

/* "alpha:disk_scan beta:registry": the names and sources of the list. */
static void check_list(const struct ccp_project_list *list, const char *expected)
{
	char text[1024] = "";
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s:%s", i ? " " : "",
				      list->items[i].name, list->items[i].source);
	ck_assert_str_eq(text, expected);
}

static void check_scan(const struct ccp_project_places *places, const char *expected)
{
	struct ccp_project_list list = { 0 };
	struct codexcp_error err = { 0 };

	ck_assert_int_eq(ccp_project_scan(places, 100, 10000, &list, &err), 0);
	ck_assert(!list.truncated);
	check_list(&list, expected);
	ccp_project_list_done(&list);
}

START_TEST(test_list)
{
	_cleanup_(ccp_project_list_done) struct ccp_project_list list = { 0 };
	char id[CCP_PROJECT_ID_SIZE];

	ck_assert_int_eq(ccp_project_list_add(&list, 2, "/r/a", NULL, "operations", 7, NULL), 0);
	ck_assert_int_eq(ccp_project_list_add(&list, 2, "/r/a", NULL, "operations", 5, NULL), 0);
	check_list(&list, "a:operations");
	ck_assert_int_eq(list.items[0].last_activity_at, 7);
	ck_assert_int_eq(ccp_project_list_add(&list, 2, "/r/a", "Name", "registry", 9, NULL), 0);
	ck_assert_int_eq(ccp_project_list_add(&list, 2, "/r/a", "Other", "mixed", 0, NULL), 0);
	ck_assert_int_eq(ccp_project_list_add(&list, 2, "/r/a", NULL, "disk_scan", 0, NULL), 0);
	check_list(&list, "Name:mixed");
	ck_assert_int_eq(list.items[0].last_activity_at, 9);
	ccp_project_id("/r/a", id);
	ck_assert_str_eq(list.items[0].id, id);

	ck_assert_int_eq(ccp_project_list_add(&list, 2, "/r/b", NULL, "disk_scan", 0, NULL), 0);
	ck_assert(!list.truncated);
	ck_assert_int_eq(ccp_project_list_add(&list, 2, "/r/c", NULL, "disk_scan", 0, NULL), 0);
	ck_assert(list.truncated);
	check_list(&list, "Name:mixed b:disk_scan");
}
END_TEST

START_TEST(test_scan_disk)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);

	check_scan(&places, "alpha:disk_scan beta:disk_scan");
	make(&w, "projects/.git");
	check_scan(&places, "projects:disk_scan alpha:disk_scan beta:disk_scan");
	places.projects_root = at(&w, "none");
	check_scan(&places, "");
	places.projects_root = NULL;
	check_scan(&places, "");
	drop_world(&w);
}
END_TEST

START_TEST(test_scan_outside_roots)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	const char *roots[] = { at(&w, "projects/beta"), at(&w, "other"), NULL };

	places.allowed_roots = roots;
	places.roots_configured = true;
	check_scan(&places, "gamma:disk_scan beta:disk_scan");
	drop_world(&w);
}
END_TEST

START_TEST(test_scan_limits)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	struct ccp_project_list list = { 0 };

	ck_assert_int_eq(ccp_project_scan(&places, 1, 10000, &list, NULL), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert(list.truncated);
	ccp_project_list_done(&list);
	ck_assert_int_eq(ccp_project_scan(&places, 100, 0, &list, NULL), 0);
	ck_assert_uint_eq(list.n, 0);
	ck_assert(list.truncated);
	ccp_project_list_done(&list);
	drop_world(&w);
}
END_TEST

/* Each form of the registry, with %s for the top directory. */
START_TEST(test_registry)
{
	static const struct {
		const char *format, *expected;
	} rows[] = {
		{ "{\"projects\":[{\"path\":\"%s/projects/alpha\",\"name\":\"First\"}]}",
		  "First:mixed beta:disk_scan" },
		{ "[{\"root_path\":\"%s/projects/alpha/src\",\"name\":\" \"}]",
		  "alpha:disk_scan src:registry beta:disk_scan" },
		{ "{\"Sources\":\"%s/projects/alpha/src\",\"x\":1}",
		  "alpha:disk_scan Sources:registry beta:disk_scan" },
		{ "[7,{},{\"path\":1},{\"path\":\"projects/alpha/src\"},"
		  "{\"path\":\"%s/other/gamma\"},{\"path\":\"/nowhere/at/all\"}]",
		  "alpha:disk_scan beta:disk_scan" },
		{ "{\"projects\": [%s", "alpha:disk_scan beta:disk_scan" },
		{ "3 %s", "alpha:disk_scan beta:disk_scan" },
	};
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);

	places.registry_path = at(&w, "projects.json");
	check_scan(&places, "alpha:disk_scan beta:disk_scan");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		const char *here = strstr(rows[i].format, "%s");
		char *text = ccp_asprintf("%.*s%s%s", (int)(here - rows[i].format), rows[i].format,
					  w.top, here + 2);

		put(&w, "projects.json", text);
		check_scan(&places, rows[i].expected);
		free(text);
	}
	drop_world(&w);
}
END_TEST

struct expected_place {
	const char *cwd, *root, *project;
};

static void check_place(struct world *w, const struct ccp_project_places *places, const char *cwd,
			const char *project, const struct ccp_project_list *known,
			struct expected_place expected)
{
	struct codexcp_error err = { 0 };
	struct ccp_place place = { 0 };
	char id[CCP_PROJECT_ID_SIZE];

	ck_assert_msg(ccp_place_resolve(places, cwd, project, known, &place, &err) == 0, "%s",
		      err.message);
	ck_assert_str_eq(place.cwd, at(w, expected.cwd));
	ck_assert_str_eq(place.root, at(w, expected.root));
	ck_assert_str_eq(place.project_path, at(w, expected.project));
	ccp_project_id(place.project_path, id);
	ck_assert_str_eq(place.project_id, id);
	ck_assert_int_eq(ccp_place_check(place.cwd, place.root, &err), 0);
	ccp_place_done(&place);
}

static void check_no_place(const struct ccp_project_places *places, const char *cwd,
			   const char *project, int code, const char *argument, const char *message)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct ccp_place place = { .cwd = NULL };

	ck_assert_int_eq(ccp_place_resolve(places, cwd, project, NULL, &place, &err), code);
	ck_assert_ptr_null(place.cwd);
	ck_assert_ptr_null(place.project_path);
	if (argument)
		ck_assert_str_eq(ccp_json_str(err.details, "argument"), argument);
	ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
}

START_TEST(test_place_by_cwd)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);

	check_place(&w, &places, at(&w, "projects/alpha"), NULL, NULL,
		    (struct expected_place){ "projects/alpha", "projects", "projects/alpha" });
	check_place(&w, &places, at(&w, "projects/alpha/src/.."), NULL, NULL,
		    (struct expected_place){ "projects/alpha", "projects", "projects/alpha" });
	check_place(&w, &places, at(&w, "projects/same/src"), NULL, NULL,
		    (struct expected_place){ "projects/alpha/src", "projects", "projects/alpha" });
	check_place(&w, &places, at(&w, "projects"), NULL, NULL,
		    (struct expected_place){ "projects", "projects", "projects" });
	check_place(&w, &places, "../projects/beta", NULL, NULL,
		    (struct expected_place){ "projects/beta", "projects", "projects/beta" });
	drop_world(&w);
}
END_TEST

START_TEST(test_place_by_project)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	const struct expected_place alpha = { "projects/alpha", "projects", "projects/alpha" };
	char id[CCP_PROJECT_ID_SIZE];
	char *registry = ccp_asprintf(
		"[{\"path\":\"%s\",\"name\":\"The first\",\"id\":\"old-id\"}]",
		at(&w, "projects/alpha"));

	put(&w, "projects.json", registry);
	places.registry_path = at(&w, "projects.json");
	ccp_project_id(at(&w, "projects/alpha"), id);
	check_place(&w, &places, NULL, id, NULL, alpha);
	check_place(&w, &places, NULL, "old-id", NULL, alpha);
	check_place(&w, &places, NULL, "The first", NULL, alpha);
	check_place(&w, &places, NULL, at(&w, "projects/alpha"), NULL, alpha);
	check_place(&w, &places, at(&w, "projects/alpha/src"), id, NULL,
		    (struct expected_place){ "projects/alpha/src", "projects", "projects/alpha" });
	check_no_place(&places, at(&w, "projects/beta"), id, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "inside the project");
	check_no_place(&places, NULL, "prj_none", CODEXCP_E_PROJECT_NOT_FOUND, NULL, "prj_none");
	free(registry);
	drop_world(&w);
}
END_TEST

START_TEST(test_names_must_be_unique)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	char *registry = ccp_asprintf("[{\"path\":\"%s\",\"name\":\"beta\"}]",
				      at(&w, "projects/alpha"));

	put(&w, "projects.json", registry);
	places.registry_path = at(&w, "projects.json");
	check_no_place(&places, NULL, "beta", CODEXCP_E_PROJECT_NOT_FOUND, NULL, "beta");
	free(registry);
	drop_world(&w);
}
END_TEST

START_TEST(test_known_projects)
{
	_cleanup_(ccp_project_list_done) struct ccp_project_list known = { 0 };
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	const char *roots[] = { at(&w, "other"), at(&w, "projects"), NULL };
	char id[CCP_PROJECT_ID_SIZE];

	places.allowed_roots = roots;
	places.roots_configured = true;
	make(&w, "other/delta/deep");
	/* one above the roots is no project any more, one in a project of the scan never was */
	ccp_project_list_add(&known, 10, w.top, NULL, "operations", 1, NULL);
	ccp_project_list_add(&known, 10, at(&w, "projects/alpha/src"), NULL, "operations", 1, NULL);
	check_place(&w, &places, at(&w, "projects/alpha/src"), NULL, &known,
		    (struct expected_place){ "projects/alpha/src", "projects", "projects/alpha" });
	check_place(&w, &places, at(&w, "other/delta/deep"), NULL, &known,
		    (struct expected_place){ "other/delta/deep", "other", "other/delta/deep" });
	/* a link from the projects root makes a project of what it leads to */
	make(&w, "other/gamma/deep");
	check_place(&w, &places, at(&w, "other/gamma/deep"), NULL, &known,
		    (struct expected_place){ "other/gamma/deep", "other", "other/gamma" });
	ccp_project_list_add(&known, 10, at(&w, "other/delta"), "Delta", "operations", 1, NULL);
	check_place(&w, &places, at(&w, "other/delta/deep"), NULL, &known,
		    (struct expected_place){ "other/delta/deep", "other", "other/delta" });
	ccp_project_id(at(&w, "other/delta"), id);
	check_place(&w, &places, NULL, id, &known,
		    (struct expected_place){ "other/delta", "other", "other/delta" });
	check_place(&w, &places, NULL, "Delta", &known,
		    (struct expected_place){ "other/delta", "other", "other/delta" });
	drop_world(&w);
}
END_TEST

START_TEST(test_outside)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	struct ccp_place place;

	check_no_place(&places, NULL, NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd", "cwd or project_id");
	check_no_place(&places, at(&w, "projects/none"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "a directory that exists");
	check_no_place(&places, at(&w, "projects/file"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "a directory that exists");
	check_no_place(&places, at(&w, "other"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       at(&w, "projects"));
	check_no_place(&places, at(&w, "projects/out"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "below an allowed root");
	make(&w, "projects-too");
	check_no_place(&places, at(&w, "projects-too"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "below an allowed root");
	ck_assert_int_lt(ccp_place_resolve(&places, "/", NULL, NULL, &place, &err), 0);
	ck_assert_str_eq(
		json_string_value(json_array_get(ccp_json_arr(err.details, "allowedRoots"), 0)),
		at(&w, "projects"));
	drop_world(&w);
}
END_TEST

START_TEST(test_start_as_root)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);

	places.projects_root = NULL;
	check_place(&w, &places, at(&w, "other/gamma"), NULL, NULL,
		    (struct expected_place){ "other/gamma", "other", "other/gamma" });
	check_no_place(&places, at(&w, "projects/beta"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       at(&w, "other"));
	link_to(&w, "other", "home-link");
	places.home = at(&w, "home-link");
	check_no_place(&places, at(&w, "other/gamma"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "CODEX_ALLOWED_ROOTS");
	places.home = NULL;
	places.cwd = "/";
	check_no_place(&places, at(&w, "other/gamma"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "codex-control-plane-mcp-admin init");
	drop_world(&w);
}
END_TEST

START_TEST(test_configured_roots_that_are_missing)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	const char *roots[] = { at(&w, "none"), NULL };

	places.allowed_roots = roots;
	places.roots_configured = true;
	check_no_place(&places, at(&w, "projects/beta"), NULL, CODEXCP_E_INVALID_ARGUMENT, "cwd",
		       "allowed roots that exist");
	drop_world(&w);
}
END_TEST

START_TEST(test_roots)
{
	struct world w = make_world();
	struct ccp_project_places places = places_of(&w);
	const char *configured[] = { at(&w, "projects"), at(&w, "projects/same"), NULL };
	struct ccp_roots roots;

	places.allowed_roots = configured;
	places.roots_configured = true;
	ck_assert_int_eq(ccp_roots_init(&roots, &places, NULL), 0);
	ck_assert_uint_eq(roots.n, 2);
	ck_assert_ptr_null(roots.paths[2]);
	ck_assert_str_eq(ccp_roots_find(&roots, at(&w, "projects/alpha/src")),
			 at(&w, "projects/alpha"));
	ck_assert_str_eq(ccp_roots_find(&roots, at(&w, "projects/alphabet")), at(&w, "projects"));
	ck_assert_ptr_null(ccp_roots_find(&roots, at(&w, "other")));
	ccp_roots_done(&roots);
	drop_world(&w);
}
END_TEST

START_TEST(test_check_before_send)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct world w = make_world();
	const char *root = at(&w, "projects"), *cwd = at(&w, "projects/beta");

	ck_assert_int_eq(ccp_place_check(cwd, root, &err), 0);
	ck_assert_int_eq(ccp_place_check(cwd, at(&w, "other"), &err), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_eq(rmdir(cwd), 0);
	ck_assert_int_eq(ccp_place_check(cwd, root, &err), CODEXCP_E_INVALID_ARGUMENT);
	link_to(&w, "../other", "projects/beta");
	ck_assert_int_eq(ccp_place_check(cwd, root, &err), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_str_eq(ccp_json_str(err.details, "argument"), "cwd");
	drop_world(&w);
}
END_TEST

CCP_TEST_MAIN("project", test_list, test_scan_disk, test_scan_outside_roots, test_scan_limits,
	      test_registry, test_place_by_cwd, test_place_by_project, test_names_must_be_unique,
	      test_known_projects, test_outside, test_start_as_root,
	      test_configured_roots_that_are_missing, test_roots, test_check_before_send)
