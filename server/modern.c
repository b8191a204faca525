#include "base/json.h"
#include "base/str.h"
#include "server/request.h"

#define META_VERSION      "io.modelcontextprotocol/protocolVersion"
#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"

bool mcp_modern_claimed(const json_t *params)
{
	return json_object_get(ccp_json_obj(params, "_meta"), META_VERSION);
}

/* The versions that a request's `_meta` may name. */
static json_t *supported(void)
{
	json_t *versions = json_array();

	ccp_json_append_new(&versions, json_string(mcp_version_name(MCP_MODERN)));
	return versions;
}

static void refuse_version(const struct mcp_request *request, const char *requested)
{
	json_t *data = json_object();

	ccp_json_set_new(&data, "supported", supported());
	ccp_json_set_str(&data, "requested", requested);
	mcp_answer_error(request, MCP_VERSION_REFUSED, data, "Unsupported protocol version");
}

static void refuse_meta(const struct mcp_request *request, const char *key, const char *expected)
{
	mcp_answer_error(request, CCP_RPC_INVALID_PARAMS, NULL, "params._meta[\"%s\"]: expected %s",
			 key, expected);
}

bool mcp_modern_accept(struct mcp_request *request)
{
	const json_t *meta = ccp_json_obj(request->params, "_meta");
	const char *version = ccp_json_str(meta, META_VERSION);

	if (request->batch) {
		mcp_answer_error(request, CCP_RPC_INVALID_REQUEST, NULL,
				 "A request of %s cannot be part of a batch",
				 mcp_version_name(MCP_MODERN));
		return false;
	}
	if (!version) {
		refuse_meta(request, META_VERSION, "a string");
		return false;
	}
	if (!ccp_streq(version, mcp_version_name(MCP_MODERN))) {
		refuse_version(request, version);
		return false;
	}
	if (!ccp_json_obj(meta, META_CAPABILITIES)) {
		refuse_meta(request, META_CAPABILITIES, "an object");
		return false;
	}
	request->version = MCP_MODERN;
	return true;
}

/*
 * The probe of clients that know both eras always says its version. Without one the client has
 * misread the specification: it is told so, instead of that there was no such method.
 */
void mcp_discover(const struct mcp_request *request)
{
	json_t *result;

	if (request->version != MCP_MODERN) {
		refuse_meta(request, META_VERSION, "a string");
		return;
	}
	result = mcp_result_new(request->version);
	ccp_json_set_new(&result, "supportedVersions", supported());
	ccp_json_set_new(&result, "capabilities", mcp_capabilities());
	ccp_json_set_str(&result, "instructions", codexcp_instructions());
	mcp_result_set_cache(&result, request->version);
	mcp_answer_json(request, result);
}
