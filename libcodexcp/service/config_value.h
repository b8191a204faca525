/*
 * One value of the configuration: from what was found under an option's name to the member of
 * struct ccp_config, for each kind of option.
 */
#pragma once

#include "service/config.h"
#include "service/config_option.h"

/* A value and where it comes from. */
struct ccp_value {
	const struct ccp_option *option;
	const char *variable; /* NULL: from the file */
	const char *file;
	const char *base; /* what a relative path is relative to */
	json_t *json;     /* from a variable and as a default always a string */
};

/* CODEXCP_E_CONFIG_INVALID that says where the value stands and what was expected. */
int ccp_value_store(struct ccp_config *config, const struct ccp_value *v,
		    struct codexcp_error *err);
int ccp_value_fail(const struct ccp_value *v, const char *expected, struct codexcp_error *err);
/* Release what the member holds. */
void ccp_value_drop(struct ccp_config *config, const struct ccp_option *option);

/* Without memory there is no list of warnings any more; to be checked once in the end. */
void ccp_config_warn(struct ccp_config *config, const char *fmt, ...) _printf_(2, 3);
