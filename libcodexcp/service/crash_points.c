/*
 * The page "crash-points": all crash points, one a line, from the tables that make them.
 */
#include "base/crash_point.h"
#include "base/strbuf.h"
#include "domain/op_machine.h"
#include "service/engine_internal.h"
#include "service/tool.h"

#define PAGE_MAX (64 * 1024)

static void list(struct ccp_strbuf *sb, const char *family, const char *name)
{
	static const char *const whens[] = { "before", "after" };

	char point[CCP_CRASH_POINT_SIZE];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(whens); i++) {
		ccp_crash_point_name(point, family, name, whens[i]);
		ccp_strbuf_appendf(sb, "%s\n", point);
	}
}

char *ccp_crash_points_text(void)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(PAGE_MAX);
	const char *kind;

#define X(effect, bit, words)                                                                      \
	if (!(CCP_EFFECT_##effect & CCP_OP_ROW_EFFECTS))                                           \
		list(&sb, "effect", #effect);
	CCP_OP_EFFECTS(X)
#undef X
	for (size_t i = 0; i < ccp_op_event_count(); i++)
		list(&sb, "commit", ccp_op_event_name((enum ccp_op_event)i));
	for (size_t i = 0; (kind = ccp_command_kind(i)); i++) {
		list(&sb, "ask", kind);
		list(&sb, "command", kind);
	}
#define X(family, name) list(&sb, family, name);
	CCP_CRASH_PLACES(X)
#undef X
	return ccp_strbuf_take(&sb);
}
