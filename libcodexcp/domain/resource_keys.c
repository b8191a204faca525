#include "domain/resource_keys.h"

#include <string.h>

#include "base/json.h"
#include "domain/prompt.h"

int ccp_keys_parse(const char *text, json_t **ret_keys, struct codexcp_error *err)
{
	json_auto_t *list = NULL;
	json_t *keys = NULL, *key;
	size_t i;
	int r = text ? ccp_json_parse(text, strlen(text), 0, &list, err) : 0;

	if (r < 0 || !json_array_size(list))
		return r;
	keys = json_object();
	json_array_foreach (list, i, key) {
		_cleanup_free_ char *normal = NULL;

		r = ccp_prompt_normalise(json_string_value(key), &normal, err);
		if (r < 0) {
			json_decref(keys);
			return r;
		}
		ccp_json_set_bool(&keys, normal, true);
	}
	if (!keys)
		return ccp_fail_oom(err);
	*ret_keys = keys;
	return 0;
}

bool ccp_keys_meet(const json_t *a, const json_t *b)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)a, name, value)
		if (json_object_get(b, name))
			return true;
	return false;
}
