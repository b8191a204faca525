#include "appserver/caps.h"

#include <limits.h>
#include <stdio.h>

#include "base/json.h"
#include "base/macro.h"

struct feature {
	const char *words;
	int since, until;
};

static const struct feature features[] = {
#define X(name, words, since, until) [CCP_CODEX_##name] = { words, since, until },
	CCP_CODEX_FEATURES(X)
#undef X
};

/* Up to six digits; returns what follows them, or NULL. */
static const char *parse_number(const char *s, int *ret)
{
	int n = 0;
	size_t digits = 0;

	while (s[digits] >= '0' && s[digits] <= '9' && digits < 6)
		n = n * 10 + (s[digits++] - '0');
	if (digits == 0 || (s[digits] >= '0' && s[digits] <= '9'))
		return NULL;
	*ret = n;
	return s + digits;
}

static bool parse_triple(const char *s, struct ccp_codex_version *ret)
{
	struct ccp_codex_version v;

	s = parse_number(s, &v.major);
	if (!s || *s++ != '.')
		return false;
	s = parse_number(s, &v.minor);
	if (!s || *s++ != '.')
		return false;
	if (!parse_number(s, &v.patch))
		return false;
	*ret = v;
	return true;
}

void ccp_codex_version_parse(const char *user_agent, struct ccp_codex_version *ret_version)
{
	*ret_version = (struct ccp_codex_version){ 0 };
	for (const char *s = user_agent ? user_agent : ""; *s; s++) {
		if (*s == '/' && parse_triple(s + 1, ret_version))
			return;
	}
}

static bool is_unknown(const struct ccp_codex_version *v)
{
	return v->major == 0 && v->minor == 0 && v->patch == 0;
}

bool ccp_codex_has(const struct ccp_codex_version *version, enum ccp_codex_feature feature)
{
	const struct feature *f = &features[feature];
	int minor = version->major > 0 || is_unknown(version) ? INT_MAX : version->minor;

	return minor >= f->since && (f->until == 0 || minor < f->until);
}

/* The version that brought a feature, or removed it, for one that has it not. */
struct bound {
	bool removed;
	const char *key;
	char version[CCP_CODEX_VERSION_SIZE];
};

static struct bound bound_of(const struct feature *f)
{
	struct bound bound = { .removed = f->until, .key = "minimumVersion" };

	if (bound.removed)
		bound.key = "removedInVersion";
	snprintf(bound.version, sizeof(bound.version), "0.%d.0",
		 bound.removed ? f->until : f->since);
	return bound;
}

int ccp_codex_require(const struct ccp_codex_version *version, enum ccp_codex_feature feature,
		      struct codexcp_error *err)
{
	const struct feature *f = &features[feature];
	struct bound bound = bound_of(f);
	char have[CCP_CODEX_VERSION_SIZE];

	if (ccp_codex_has(version, feature))
		return 0;
	ccp_codex_version_format(version, have);
	ccp_fail(err, CODEXCP_E_UNSUPPORTED_BY_CODEX_VERSION,
		 bound.removed ? "Codex %s does not know %s: it was removed in %s"
			       : "Codex %s does not know %s: it came with %s",
		 have, f->words, bound.version);
	ccp_error_add_str(err, "feature", f->words);
	ccp_error_add_str(err, "codexVersion", have);
	ccp_error_add_str(err, bound.key, bound.version);
	return CODEXCP_E_UNSUPPORTED_BY_CODEX_VERSION;
}

json_t *ccp_codex_lacks(const struct ccp_codex_version *version)
{
	json_t *list = json_array();

	for (size_t i = 0; i < CCP_ARRAY_SIZE(features); i++) {
		struct bound bound = bound_of(&features[i]);
		json_t *o;

		if (ccp_codex_has(version, (enum ccp_codex_feature)i))
			continue;
		o = json_object();
		ccp_json_set_str(&o, "feature", features[i].words);
		ccp_json_set_str(&o, bound.key, bound.version);
		ccp_json_append_new(&list, o);
	}
	return list;
}

const char *ccp_codex_version_format(const struct ccp_codex_version *version,
				     char out[static CCP_CODEX_VERSION_SIZE])
{
	if (is_unknown(version))
		snprintf(out, CCP_CODEX_VERSION_SIZE, "unknown");
	else
		snprintf(out, CCP_CODEX_VERSION_SIZE, "%d.%d.%d", version->major, version->minor,
			 version->patch);
	return out;
}
