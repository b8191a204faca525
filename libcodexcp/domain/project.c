#include "domain/project.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "domain/roots.h"

#define REGISTRY_BYTES_MAX (1024 * 1024)
#define CAPACITY_MIN       16
#define ROOTS_TEXT_MAX     4096
/* What a submit looks at, and how long. */
#define PLACES_MAX       4096
#define PLACES_BUDGET_MS 500

static void project_done(struct ccp_project *project)
{
	free(project->path);
	free(project->name);
	free(project->alias);
}

void ccp_project_list_done(struct ccp_project_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		project_done(&list->items[i]);
	free(list->items);
	*list = (struct ccp_project_list){ 0 };
}

/* Ids differ in their first characters, paths in their last: comparing ids is many times faster. */
static struct ccp_project *find_id(const struct ccp_project_list *list, const char *id)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->items[i].id, id) == 0)
			return &list->items[i];
	}
	return NULL;
}

static bool reserve(struct ccp_project_list *list)
{
	size_t capacity = CCP_MAX(CAPACITY_MIN, list->capacity * 2);
	struct ccp_project *items;

	if (list->n < list->capacity)
		return true;
	items = reallocarray(list->items, capacity, sizeof(*items));
	if (!items)
		return false;
	list->items = items;
	list->capacity = capacity;
	return true;
}

static int append(struct ccp_project_list *list, const struct ccp_project *values,
		  struct codexcp_error *err)
{
	struct ccp_project project = *values;

	project.path = strdup(values->path);
	project.name = strdup(values->name ? values->name : ccp_path_base(values->path));
	if (!project.path || !project.name || !reserve(list)) {
		project_done(&project);
		return ccp_fail_oom(err);
	}
	list->items[list->n++] = project;
	return 0;
}

static int merge(struct ccp_project *project, const struct ccp_project *values,
		 struct codexcp_error *err)
{
	bool is_derived = ccp_streq(project->name, ccp_path_base(project->path));

	if (values->name && is_derived) {
		char *name = strdup(values->name);

		if (!name)
			return ccp_fail_oom(err);
		free(project->name);
		project->name = name;
	}
	if (!ccp_streq(project->source, values->source))
		project->source = "mixed";
	project->last_activity_at = CCP_MAX(project->last_activity_at, values->last_activity_at);
	return 0;
}

int ccp_project_list_add(struct ccp_project_list *list, size_t max, const char *path,
			 const char *name, const char *source, int64_t last_activity_at,
			 struct codexcp_error *err)
{
	struct ccp_project values = { .path = (char *)path,
				      .name = (char *)name,
				      .source = source,
				      .last_activity_at = last_activity_at };
	struct ccp_project *known;

	ccp_project_id(path, values.id);
	known = find_id(list, values.id);
	if (known)
		return merge(known, &values, err);
	if (list->n >= max) {
		list->truncated = true;
		return 0;
	}
	return append(list, &values, err);
}

struct scan {
	const struct ccp_roots *roots;
	struct ccp_project_list *list;
	size_t max;
	int64_t deadline_ms; /* boot */
};

static bool is_over(struct scan *scan)
{
	if (ccp_clock_boot(ccp_clock_system()) >= scan->deadline_ms)
		scan->list->truncated = true;
	return scan->list->truncated;
}

/* Leaves out what is no directory below the roots. */
static int scan_add(struct scan *scan, const char *path, const char *name, const char *alias,
		    const char *source, struct codexcp_error *err)
{
	_cleanup_free_ char *canonical = NULL;
	char id[CCP_PROJECT_ID_SIZE];
	struct ccp_project *project;
	int r = ccp_directory_resolve(path, &canonical, err);

	if (r <= 0 || !ccp_roots_find(scan->roots, canonical))
		return CCP_MIN(r, 0);
	r = ccp_project_list_add(scan->list, scan->max, canonical, name, source, 0, err);
	if (r < 0 || !alias)
		return r;
	ccp_project_id(canonical, id);
	project = find_id(scan->list, id);
	if (project && !project->alias && !ccp_strdup_opt(alias, &project->alias))
		return ccp_fail_oom(err);
	return 0;
}

/* The value of the first of two names. */
static const char *either(const json_t *obj, const char *a, const char *b)
{
	const char *value = ccp_json_str(obj, a);

	return value ? value : ccp_json_str(obj, b);
}

static int add_entry(struct scan *scan, const char *path, const char *name, const char *alias,
		     struct codexcp_error *err)
{
	if (!path || path[0] != '/')
		return 0;
	return scan_add(scan, path, ccp_str_blank(name) ? NULL : name, alias, "registry", err);
}

static int add_registry(struct scan *scan, json_t *registry, struct codexcp_error *err)
{
	json_t *list = json_is_array(registry) ? registry : ccp_json_arr(registry, "projects");
	json_t *entry;
	const char *name;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, entry) {
		if (r < 0 || is_over(scan))
			return r;
		r = add_entry(scan, either(entry, "path", "root_path"), ccp_json_str(entry, "name"),
			      either(entry, "id", "project_id"), err);
	}
	if (list)
		return r;
	json_object_foreach (registry, name, entry) {
		if (r < 0 || is_over(scan))
			return r;
		r = add_entry(scan, json_string_value(entry), name, NULL, err);
	}
	return r;
}

static int scan_registry(struct scan *scan, const char *path, struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error why = { 0 };
	_cleanup_free_ char *text = NULL;
	json_auto_t *registry = NULL;
	size_t len = 0;
	int r = path ? ccp_file_read(path, REGISTRY_BYTES_MAX, &text, &len, &why) : 0;

	if (r > 0)
		r = ccp_json_parse(text, len, 0, &registry, &why);
	if (r == CODEXCP_E_NO_MEMORY)
		return ccp_fail_oom(err);
	return registry ? add_registry(scan, registry, err) : 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int scan_disk(struct scan *scan, const char *root, struct codexcp_error *err)
{
	_cleanup_(closedirp) DIR *dir = opendir(root);
	struct dirent *entry;
	int r = 0;

	while (dir && r == 0 && !is_over(scan) && (entry = readdir(dir))) {
		_cleanup_free_ char *path = NULL;

		if (entry->d_name[0] == '.' || entry->d_type == DT_REG)
			continue;
		path = ccp_path_join(root, entry->d_name);
		r = path ? scan_add(scan, path, NULL, NULL, "disk_scan", err) : ccp_fail_oom(err);
	}
	return r;
}

/* The root of a checkout is a project itself. */
static int scan_root(struct scan *scan, const char *root, struct codexcp_error *err)
{
	_cleanup_free_ char *git = NULL;
	struct stat st;
	int r = 0;

	if (!root)
		return 0;
	git = ccp_path_join(root, ".git");
	if (!git)
		return ccp_fail_oom(err);
	if (stat(git, &st) == 0)
		r = scan_add(scan, root, NULL, NULL, "disk_scan", err);
	return r < 0 ? r : scan_disk(scan, root, err);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct ccp_project *)a)->path, ((const struct ccp_project *)b)->path);
}

int ccp_project_scan(const struct ccp_project_places *places, size_t max, int64_t budget_ms,
		     struct ccp_project_list *ret_list, struct codexcp_error *err)
{
	_cleanup_(ccp_project_list_done) struct ccp_project_list list = { 0 };
	_cleanup_(ccp_roots_done) struct ccp_roots roots = { 0 };
	struct scan scan = { .roots = &roots,
			     .list = &list,
			     .max = max,
			     .deadline_ms = ccp_clock_boot(ccp_clock_system()) + budget_ms };
	int r = ccp_roots_init(&roots, places, err);

	if (r == 0)
		r = scan_registry(&scan, places->registry_path, err);
	if (r == 0)
		r = scan_root(&scan, places->projects_root, err);
	if (r < 0)
		return r;
	if (list.n)
		qsort(list.items, list.n, sizeof(list.items[0]), compare_paths);
	*ret_list = list;
	list = (struct ccp_project_list){ 0 };
	return 0;
}
