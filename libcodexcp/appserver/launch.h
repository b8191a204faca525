/*
 * How app-server is to be started: a copy of the options, the binary of the moment, and the choice
 * of the transport. For client.c.
 */
#pragma once

#include <sys/stat.h>

#include "appserver/client.h"
#include "appserver/transport.h"

struct ccp_launch {
	char *binary, *cwd, *run_dir, *log_path;
	char **envp;
	int (*find)(char **ret_binary, void *data, struct codexcp_error *err);
	void *find_data;
	size_t max_line;
	int64_t initialize_timeout_ms;
	enum ccp_appserver_transport wanted;
	struct stat without_socket; /* the binary that knows no --listen; st_ino 0: none */
};

int ccp_launch_init(struct ccp_launch *launch, const struct ccp_appserver_options *options,
		    struct codexcp_error *err);
void ccp_launch_done(struct ccp_launch *launch);
/* Looked for anew before each start: it may have been installed or replaced since. */
int ccp_launch_find(struct ccp_launch *launch, struct codexcp_error *err);
enum ccp_appserver_transport ccp_launch_choose(const struct ccp_launch *launch);
/* It ended before it could be talked to: whether that means "use stdio". Remembers it then. */
bool ccp_launch_falls_back(struct ccp_launch *launch, const struct ccp_transport_end *end);
struct ccp_transport_options ccp_launch_options(const struct ccp_launch *launch);
