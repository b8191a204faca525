#include "appserver/launch.h"

#include <string.h>

#include "base/str.h"

#define DEFAULT_INITIALIZE_MS 30000
#define DEFAULT_MAX_LINE      (64u << 20)
/* What every command line of this kind ends with when it does not know an option or its value. */
#define EXIT_USAGE 2

static char **copy_strings(const char *const *strings)
{
	size_t n = 0;
	char **copy;

	while (strings[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(strings[i]);
		if (copy[i])
			continue;
		while (i > 0)
			free(copy[--i]);
		free(copy);
		return NULL;
	}
	return copy;
}

int ccp_launch_init(struct ccp_launch *launch, const struct ccp_appserver_options *options,
		    struct codexcp_error *err)
{
	*launch = (struct ccp_launch){
		.find = options->find,
		.find_data = options->find_data,
		.max_line = options->max_line ? options->max_line : DEFAULT_MAX_LINE,
		.initialize_timeout_ms = options->initialize_timeout_ms
						 ? options->initialize_timeout_ms
						 : DEFAULT_INITIALIZE_MS,
		.wanted = options->transport,
	};
	if (!ccp_strdup_opt(options->binary, &launch->binary) ||
	    !ccp_strdup_opt(options->cwd, &launch->cwd) ||
	    !ccp_strdup_opt(options->run_dir, &launch->run_dir) ||
	    !ccp_strdup_opt(options->log_path, &launch->log_path))
		return ccp_fail_oom(err);
	if (options->envp) {
		launch->envp = copy_strings(options->envp);
		if (!launch->envp)
			return ccp_fail_oom(err);
	}
	return 0;
}

void ccp_launch_done(struct ccp_launch *launch)
{
	for (char **e = launch->envp; e && *e; e++)
		free(*e);
	free(launch->envp);
	free(launch->binary);
	free(launch->cwd);
	free(launch->run_dir);
	free(launch->log_path);
}

int ccp_launch_find(struct ccp_launch *launch, struct codexcp_error *err)
{
	char *found = NULL;
	int r = launch->find ? launch->find(&found, launch->find_data, err) : 0;

	if (r < 0 || !found)
		return r;
	free(launch->binary);
	launch->binary = found;
	return 0;
}

/* The same file, and not replaced since. */
static bool knows_no_socket(const struct ccp_launch *launch)
{
	const struct stat *known = &launch->without_socket;
	struct stat st;

	return known->st_ino && stat(launch->binary, &st) == 0 && st.st_ino == known->st_ino &&
	       st.st_dev == known->st_dev && st.st_size == known->st_size &&
	       st.st_mtim.tv_sec == known->st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == known->st_mtim.tv_nsec;
}

enum ccp_appserver_transport ccp_launch_choose(const struct ccp_launch *launch)
{
	if (launch->wanted != CCP_APPSERVER_AUTO)
		return launch->wanted;
	return launch->run_dir && !knows_no_socket(launch) ? CCP_APPSERVER_UNIX
							   : CCP_APPSERVER_STDIO;
}

bool ccp_launch_falls_back(struct ccp_launch *launch, const struct ccp_transport_end *end)
{
	if (launch->wanted != CCP_APPSERVER_AUTO || !end->has_status || end->status != EXIT_USAGE)
		return false;
	if (stat(launch->binary, &launch->without_socket) < 0)
		launch->without_socket.st_ino = 0;
	return true;
}

struct ccp_transport_options ccp_launch_options(const struct ccp_launch *launch)
{
	return (struct ccp_transport_options){
		.binary = launch->binary,
		.cwd = launch->cwd,
		.envp = (const char *const *)launch->envp,
		.max_message = launch->max_line,
		.run_dir = launch->run_dir,
		.log_path = launch->log_path,
		.open_timeout_ms = launch->initialize_timeout_ms,
	};
}
