#include <string.h>

#include "admin/admin.h"
#include "base/str.h"

void admin_environment_free(char **environment)
{
	for (char **entry = environment; entry && *entry; entry++)
		free(*entry);
	free(environment);
}

static bool is_changed(const char *entry, const json_t *changes)
{
	const char *name;
	json_t *ignored;

	json_object_foreach ((json_t *)changes, name, ignored) {
		size_t n = strlen(name);

		if (strncmp(entry, name, n) == 0 && entry[n] == '=')
			return true;
	}
	return false;
}

static size_t count(char *const *entries)
{
	size_t n = 0;

	while (entries[n])
		n++;
	return n;
}

char **admin_environment_with(char *const *environment, const json_t *changes)
{
	_cleanup_(admin_environment_freep) char **copy = NULL;
	const char *name;
	json_t *value;
	size_t n = 0;

	copy = calloc(count(environment) + json_object_size(changes) + 1, sizeof(*copy));
	if (!copy)
		return NULL;
	for (char *const *entry = environment; *entry; entry++) {
		if (is_changed(*entry, changes))
			continue;
		if (!ccp_strdup_opt(*entry, &copy[n++]))
			return NULL;
	}
	json_object_foreach ((json_t *)changes, name, value) {
		copy[n] = ccp_asprintf("%s=%s", name, json_string_value(value));
		if (!copy[n++])
			return NULL;
	}
	return TAKE_PTR(copy);
}
