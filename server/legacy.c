#include "base/json.h"
#include "server/request.h"

/* A version of the legacy era is echoed; whoever asks for another one gets the newest and decides.
 */
static enum mcp_version negotiate(const char *requested)
{
	enum mcp_version version;

	if (!mcp_version_parse(requested, &version) || version > MCP_LEGACY_NEWEST)
		return MCP_LEGACY_NEWEST;
	return version;
}

void mcp_initialize(const struct mcp_request *request)
{
	const char *requested = ccp_json_str(request->params, "protocolVersion");
	enum mcp_version version;
	json_t *result;

	if (request->batch) {
		mcp_answer_error(request, CCP_RPC_INVALID_REQUEST, NULL,
				 "initialize cannot be part of a batch");
		return;
	}
	if (!requested) {
		mcp_answer_error(request, CCP_RPC_INVALID_PARAMS, NULL,
				 "params.protocolVersion: expected a string");
		return;
	}
	version = negotiate(requested);
	result = mcp_result_new(version);
	ccp_json_set_str(&result, "protocolVersion", mcp_version_name(version));
	ccp_json_set_new(&result, "capabilities", mcp_capabilities());
	ccp_json_set_new(&result, "serverInfo", mcp_server_info(version));
	ccp_json_set_str(&result, "instructions", codexcp_instructions());
	if (result) {
		request->mcp->version = version;
		request->mcp->initialized = true;
	}
	mcp_answer_json(request, result);
}

void mcp_ping(const struct mcp_request *request)
{
	mcp_answer_json(request, json_object());
}
