#include "service/doorbell.h"

#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/str.h"
#include "store/schema.h"

/* The schema decides, then the version. */
struct release {
	int schema, version[3];
};

static bool parse_release(const char *text, struct release *ret)
{
	return sscanf(text, "%d.%d.%d %d", &ret->version[0], &ret->version[1], &ret->version[2],
		      &ret->schema) == 4;
}

static int compare(const struct release *a, const struct release *b)
{
	if (a->schema != b->schema)
		return a->schema - b->schema;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(a->version); i++)
		if (a->version[i] != b->version[i])
			return a->version[i] - b->version[i];
	return 0;
}

void ccp_doorbell_line(const char *word, char out[CCP_DOORBELL_RELEASE_SIZE])
{
	snprintf(out, CCP_DOORBELL_RELEASE_SIZE, "%s %s %d", word, CCP_VERSION,
		 ccp_schema_version());
}

bool ccp_doorbell_compare(const char *line, const char *word, int *ret_order)
{
	char own_line[CCP_DOORBELL_RELEASE_SIZE];
	struct release own, other;
	size_t n = strlen(word);

	ccp_doorbell_line(word, own_line);
	if (!ccp_str_has_prefix(line, word) || line[n] != ' ' ||
	    !parse_release(line + n + 1, &other) || !parse_release(own_line + n + 1, &own))
		return false;
	*ret_order = compare(&other, &own);
	return true;
}
