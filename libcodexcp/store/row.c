#include "store/row.h"

#include <string.h>

void ccp_row_bind(struct ccp_stmt *stmt, int first, const struct ccp_column *columns, size_t n,
		  const void *row)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = (const char *)row + columns[i].offset;

		if (columns[i].is_text)
			ccp_bind_text(stmt, first + (int)i, *(char *const *)at);
		else
			ccp_bind_int(stmt, first + (int)i, *(const int64_t *)at);
	}
}

int ccp_row_read(const struct ccp_stmt *stmt, int first, const struct ccp_column *columns, size_t n,
		 void *row, struct codexcp_error *err)
{
	for (size_t i = 0; i < n; i++) {
		char *at = (char *)row + columns[i].offset;
		int r;

		if (!columns[i].is_text) {
			*(int64_t *)at = ccp_column_int(stmt, first + (int)i);
			continue;
		}
		r = ccp_row_set((char **)at, ccp_column_text(stmt, first + (int)i), err);
		if (r < 0)
			return r;
	}
	return 0;
}

void ccp_row_done(const struct ccp_column *columns, size_t n, void *row)
{
	for (size_t i = 0; i < n; i++) {
		char **member = (char **)(void *)((char *)row + columns[i].offset);

		if (!columns[i].is_text)
			continue;
		free(*member);
		*member = NULL;
	}
}

int ccp_row_set(char **member, const char *value, struct codexcp_error *err)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return ccp_fail_oom(err);
	free(*member);
	*member = copy;
	return 0;
}
