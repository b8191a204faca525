/*
 * Steps that are done one after the other and reported one by one: {name, ok, milliseconds,
 * detail}, and `error` for what failed.
 */
#pragma once

#include "base/error.h"
#include "base/strbuf.h"

struct step {
	const char *name;
	/* `detail`: what there is to tell when it went well. */
	int (*run)(void *data, struct ccp_strbuf *detail, struct codexcp_error *err);
};

/* Does one and appends it to the array. Whether it went well. */
bool step_run(const struct step *step, void *data, json_t **steps);
