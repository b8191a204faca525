/*
 * The option table: every option of the configuration once, with all that is said about it. Reading
 * (config.c) and printing (config_print.c) go through it; nothing outside the two does.
 */
#pragma once

#include "base/macro.h"

enum ccp_option_kind {
	CCP_OPTION_PATH,      /* char * */
	CCP_OPTION_ROOTS,     /* char **: directories */
	CCP_OPTION_INT,       /* int64_t; min..max */
	CCP_OPTION_ENUM,      /* int64_t: index into choices */
	CCP_OPTION_SANDBOX,   /* as ENUM; a policy object with a type is accepted too */
	CCP_OPTION_APPROVAL,  /* char *: what Codex calls it */
	CCP_OPTION_TEXT,      /* char * */
	CCP_OPTION_VARIABLES, /* char **: "NAME=value" */
};

/* When an option stands in the environment block of a client. */
enum ccp_option_block {
	CCP_BLOCK_VARIABLE,   /* when it came from the environment */
	CCP_BLOCK_CONFIGURED, /* when the file names it, too */
	CCP_BLOCK_ALWAYS,
};

struct ccp_option {
	const char *section; /* not NULL: the first of a section of the reference page */
	const char *key;     /* in the JSON file */
	const char *env[2];  /* in this order */
	enum ccp_option_kind kind;
	size_t offset;   /* in struct ccp_config */
	const char *def; /* as text, NULL: none; paths may begin with $HOME/ and the like */
	bool required;   /* nothing works without a value */
	int64_t min, max;
	const char *const *choices;
	enum ccp_option_block block;
	const char *example; /* of the example file, when the default does not do */
	const char *doc;
};

/* Ended by a NULL key. An option stands after those that its default is made of. */
extern const struct ccp_option ccp_options[];

/* What a value must be, in words: "an integer from 1 to 64". NULL when memory ran out. */
char *ccp_option_expected(const struct ccp_option *option);
