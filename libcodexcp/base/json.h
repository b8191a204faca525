/*
 * JSON helpers over jansson: tolerant getters, setters that are checked once, bounded parsing.
 *
 *	json_t *o = json_object();
 *
 *	ccp_json_set_str(&o, "status", status);		// NULL value: the key is left out
 *	ccp_json_set_int(&o, "attemptCount", n);
 *	return o;					// NULL when any step ran out of memory
 *
 * A setter that fails releases the object and leaves NULL in its place; setters ignore NULL
 * objects, so a build is a list of calls and one check.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "base/strbuf.h"

/* Getters: NULL or the default when the object is NULL, the key is missing or the type is
 * another. */
const char *ccp_json_str(const json_t *obj, const char *key);
int64_t ccp_json_int(const json_t *obj, const char *key, int64_t def);
bool ccp_json_bool(const json_t *obj, const char *key, bool def);
json_t *ccp_json_obj(const json_t *obj, const char *key);
json_t *ccp_json_arr(const json_t *obj, const char *key);
/* "a.b.c": follows objects; borrowed or NULL. Keys that contain dots cannot be reached. */
json_t *ccp_json_path(const json_t *obj, const char *dotted);

/* Strings are made valid UTF-8 without NUL when they are not. */
void ccp_json_set_str(json_t **obj, const char *key, const char *value);
void ccp_json_set_strn(json_t **obj, const char *key, const char *value, size_t len);
void ccp_json_set_int(json_t **obj, const char *key, int64_t value);
void ccp_json_set_bool(json_t **obj, const char *key, bool value);
/* RFC 3339; 0 leaves the key out. */
void ccp_json_set_time(json_t **obj, const char *key, int64_t wall_ms);
/* Steals value. NULL value is a failure: use it for what was just built. */
void ccp_json_set_new(json_t **obj, const char *key, json_t *value);
/* Takes a reference; NULL leaves the key out. */
void ccp_json_set(json_t **obj, const char *key, json_t *value);
/* Steals value into an array. */
void ccp_json_append_new(json_t **arr, json_t *value);
/* A string value from anything; NULL when memory ran out. */
json_t *ccp_json_string(const char *s, size_t len);

enum ccp_json_flags {
	CCP_JSON_ALLOW_NUL = 1, /* strings may hold \u0000 */
	CCP_JSON_ANY = 2,       /* a scalar is a document too */
};

/* A copy of JSON text in which each NUL of a string is U+FFFD: such a string is whole for whoever
 * reads it up to its NUL. NULL when memory ran out. */
char *ccp_json_replace_nul(const char *text, size_t len);
/* One document, duplicate keys refused. Errors: CODEXCP_E_INVALID_ARGUMENT with line and column. */
int ccp_json_parse(const char *text, size_t len, unsigned flags, json_t **ret_value,
		   struct codexcp_error *err);
/* Compact text as an allocation; NULL when memory ran out. */
char *ccp_json_dump(const json_t *value, size_t *ret_len);
/* A string as JSON text, quotes included. `text` is valid UTF-8. */
void ccp_json_write_string(struct ccp_strbuf *sb, const char *text);
/* Sorted and compact: equal values give equal text. */
char *ccp_json_dump_canonical(const json_t *value);
/* The structured form of a report: the text as JSON, or the one fenced JSON block it holds. NULL
 * when there is none. */
json_t *ccp_json_from_report(const char *text);
