#include "service/policy.h"

#include "base/str.h"
#include "domain/ceiling.h"

const char *const ccp_sandbox_choices[] = { "read-only", "workspace-write", "danger-full-access",
					    "respect_existing", NULL };
const char *const ccp_approval_choices[] = {
	"never",        "on-request",       "on-failure",         "untrusted",
	"ask_openclaw", "respect_existing", "never_auto_approve", NULL
};

/* Old words for the same thing. */
static const struct {
	const char *word, *means;
} approval_words[] = {
	{ "ask_openclaw", "on-request" },
	{ "never_auto_approve", "never" },
};

static const char *approval_meaning(const char *word)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(approval_words); i++)
		if (ccp_streq(approval_words[i].word, word))
			return approval_words[i].means;
	return word;
}

/* The lower of the configuration's ceiling and that of a Codex turn that asks. */
static enum ccp_sandbox sandbox_ceiling(const struct ccp_config *config, const char *caller)
{
	enum ccp_sandbox ceiling = (enum ccp_sandbox)config->max_sandbox;
	enum ccp_sandbox own = ccp_sandbox_parse(caller);

	if (!caller)
		return ceiling;
	/* A word that we do not know must not permit anything. */
	if (own == CCP_SANDBOX_UNSET)
		own = CCP_SANDBOX_READ_ONLY;
	return ceiling == CCP_SANDBOX_UNSET || own < ceiling ? own : ceiling;
}

static int fail_above(const char *argument, const char *highest, struct codexcp_error *err)
{
	_cleanup_free_ char *expected = ccp_asprintf("at most %s here", highest);

	return expected ? ccp_fail_argument(err, argument, expected, NULL) : ccp_fail_oom(err);
}

/* Unset (NULL) or respect_existing: a known thread keeps what it has, within the ceiling. */
static bool keeps(const char *asked, bool known_thread)
{
	return known_thread && (!asked || ccp_streq(asked, "respect_existing"));
}

static int resolve_sandbox(const struct ccp_config *config,
			   const struct ccp_policy_request *request, struct ccp_op *op,
			   struct codexcp_error *err)
{
	enum ccp_sandbox ceiling = sandbox_ceiling(config, request->caller_sandbox);
	enum ccp_sandbox asked = ccp_sandbox_parse(request->sandbox);

	if (ccp_sandbox_above(asked, ceiling))
		return fail_above("sandbox", ccp_sandbox_name(ceiling), err);
	if (asked == CCP_SANDBOX_UNSET && !keeps(request->sandbox, request->known_thread))
		asked = ccp_sandbox_above((enum ccp_sandbox)config->default_sandbox, ceiling)
				? ceiling
				: (enum ccp_sandbox)config->default_sandbox;
	if (ccp_row_set(&op->sandbox_ceiling, ccp_sandbox_name(ceiling), err) < 0)
		return CODEXCP_E_NO_MEMORY;
	return ccp_row_set(&op->sandbox, ccp_sandbox_name(asked), err);
}

static int resolve_approval(const struct ccp_config *config,
			    const struct ccp_policy_request *request, struct ccp_op *op,
			    struct codexcp_error *err)
{
	const char *asked = approval_meaning(request->approval), *floor = config->min_approval;

	if (keeps(asked, request->known_thread))
		asked = NULL;
	else if (!asked || ccp_streq(asked, "respect_existing"))
		asked = ccp_approval_above(config->default_approval_policy, floor)
				? floor
				: config->default_approval_policy;
	else if (ccp_approval_above(asked, floor))
		return fail_above("approval_policy", floor, err);
	if (ccp_row_set(&op->approval_floor, floor, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	return ccp_row_set(&op->approval, asked, err);
}

int ccp_policy_resolve(const struct ccp_config *config, const struct ccp_policy_request *request,
		       struct ccp_op *op, struct codexcp_error *err)
{
	const char *model = request->model          ? request->model
			    : request->known_thread ? NULL
						    : config->default_model;
	int r = resolve_sandbox(config, request, op, err);

	if (r == 0)
		r = resolve_approval(config, request, op, err);
	if (r == 0)
		r = ccp_row_set(&op->model, model, err);
	if (r == 0)
		r = ccp_row_set(&op->effort, config->default_effort, err);
	if (r == 0)
		r = ccp_row_set(&op->summary, config->default_summary, err);
	return r;
}
