#include "base/strbuf.h"
#include "server/request.h"

#define MESSAGES_MAX 1000

struct mcp_batch {
	struct mcp *mcp;
	struct ccp_strbuf text; /* the answers so far: "[{...},{...}" */
	size_t refs;            /* requests without an answer, and whoever feeds */
};

static struct mcp_batch *batch_new(struct mcp *mcp)
{
	struct mcp_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	batch->mcp = mcp;
	batch->refs = 1;
	batch->text = CCP_STRBUF(MCP_MESSAGE_MAX);
	return batch;
}

struct mcp_batch *mcp_batch_ref(struct mcp_batch *batch)
{
	batch->refs++;
	return batch;
}

static void send_answers(struct mcp_batch *batch)
{
	struct mcp *mcp = batch->mcp;

	if (mcp->closed || (!batch->text.len && !batch->text.failed))
		return;
	ccp_strbuf_append_char(&batch->text, ']');
	if (batch->text.failed)
		mcp_refuse(mcp, CCP_RPC_INTERNAL_ERROR, "The answers to a batch are too large");
	else
		mcp->host->send(ccp_strbuf_str(&batch->text), batch->text.len, mcp->data);
}

void mcp_batch_unref(struct mcp_batch *batch)
{
	if (!batch || --batch->refs)
		return;
	send_answers(batch);
	ccp_strbuf_done(&batch->text);
	free(batch);
}

void mcp_batch_add(struct mcp_batch *batch, const char *text, size_t len)
{
	ccp_strbuf_append_char(&batch->text, batch->text.len ? ',' : '[');
	ccp_strbuf_append_n(&batch->text, text, len);
}

static const char *problem(const struct mcp *mcp, const json_t *messages)
{
	if (!mcp->initialized || mcp->version != MCP_2025_03_26)
		return "Batches are part of protocol version 2025-03-26 only";
	if (!json_array_size(messages))
		return "The batch is empty";
	if (json_array_size(messages) > MESSAGES_MAX)
		return "A batch may hold 1000 messages";
	return NULL;
}

void mcp_batch_feed(struct mcp *mcp, const json_t *messages)
{
	const char *why = problem(mcp, messages);
	struct mcp_batch *batch;
	json_t *message;
	size_t i;

	if (why) {
		mcp_refuse(mcp, CCP_RPC_INVALID_REQUEST, "%s", why);
		return;
	}
	batch = batch_new(mcp);
	if (!batch) {
		mcp_refuse(mcp, CCP_RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	json_array_foreach (messages, i, message)
		mcp_feed_message(mcp, message, batch);
	mcp_batch_unref(batch);
}
