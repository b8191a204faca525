/*
 * A client of the fake app-server, on either transport: what came is written down in order.
 *
 * The transport is that of CCP_TRANSPORT (stdio, unix) in the environment of the test.
 */
#pragma once

#include <ccp_check.h>
#include <errno.h>
#include <signal.h>

#include "appserver/answers.h"
#include "appserver/client.h"
#include "appserver/events.h"
#include "appserver/methods.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"

#define ENV_MAX 16

struct fixture {
	struct ccp_loop *loop;
	struct ccp_appserver *as;
	struct ccp_appserver_options options;
	const char *env[ENV_MAX];
	char *owned[ENV_MAX]; /* the strings of env */
	size_t n_env;
	char *dir, *run_dir, *log_path;
	int ready, gone, late, replies;
	struct codexcp_error why;       /* of the last gone */
	struct codexcp_error reply_err; /* of the last reply */
	json_t *reply;
	struct ccp_strbuf log; /* what came, in order */
	struct ccp_strbuf kinds;
	bool turn_completed;
	bool ignore_requests;
	struct ccp_process_id left; /* the process when its client was freed */
	bool free_when_ready, free_when_gone, free_in_reply;
};

void set_env(struct fixture *f, const char *name, const char *value);
char *path_in(struct fixture *f, const char *name);
void set_script(struct fixture *f, const char *text);
void free_appserver(struct fixture *f);
void on_notification(const char *method, json_t *params, void *data);
void setup(struct fixture *f);
void create(struct fixture *f);
void await(struct fixture *f, const int *counter, int want);
void start(struct fixture *f);
void teardown(struct fixture *f);
void on_reply(json_t *result, const struct codexcp_error *err, void *data);
/* Steals params. */
void call(struct fixture *f, const char *method, json_t *params);
/* Steals params; the answer is in f->reply or f->reply_err. */
void ask(struct fixture *f, const char *method, json_t *params);
/* A new thread; its id lives in f->reply until the next answer, so it is copied. */
char *new_thread(struct fixture *f);
json_t *turn_params(struct fixture *f, const char *thread, const char *text);
void await_turn(struct fixture *f);
int count_lines(struct fixture *f, const char *name, const char *prefix);
void check_dead(int64_t pid);

bool on_socket(void);
