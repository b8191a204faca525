/*
 * The effects of the machine, after the commit of the decision that asks for them.
 */
#include "base/crash_point.h"
#include "domain/runner_internal.h"

static void start_app_server(struct ccp_live *live, unsigned effects)
{
	ccp_runner_start_app_server(live->runner);
	/* It came up while the claim waited for the database: nobody tells us again. */
	if (ccp_appserver_state(live->runner->as) == CCP_APPSERVER_READY)
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_APP_SERVER_READY, NULL, NULL);
}

static void send_thread(struct ccp_live *live, unsigned effects)
{
	ccp_send_thread(live);
}

static void send_turn(struct ccp_live *live, unsigned effects)
{
	ccp_send_turn(live);
}

static void send_interrupt(struct ccp_live *live, unsigned effects)
{
	ccp_send_interrupt(live, NULL, NULL);
}

static void look_up(struct ccp_live *live, unsigned effects)
{
	ccp_runner_start_app_server(live->runner);
	if (effects & CCP_EFFECT_WAIT_SHORT)
		ccp_look_up_later(live, 0);
	else
		ccp_look_up(live);
}

static void read_limits(struct ccp_live *live, unsigned effects)
{
	ccp_quota_read(live);
}

static void let_go(struct ccp_live *live, unsigned effects)
{
	ccp_quota_over(live->runner);
}

/* X(EFFECT, function): those that do something; the others are a part of the row. */
#define ACTIONS(X)                                                                                 \
	X(START_APP_SERVER, start_app_server)                                                      \
	X(SEND_THREAD, send_thread)                                                                \
	X(SEND_TURN, send_turn)                                                                    \
	X(SEND_INTERRUPT, send_interrupt)                                                          \
	X(LOOK_UP, look_up)                                                                        \
	X(READ_LIMITS, read_limits)                                                                \
	X(LET_GO, let_go)

#define X(effect, fn)           | CCP_EFFECT_##effect
#define EACH(effect, bit, name) | CCP_EFFECT_##effect
_Static_assert((0 ACTIONS(X) | CCP_OP_ROW_EFFECTS) == (0 CCP_OP_EFFECTS(EACH)),
	       "an effect is a part of the row, or there is an action for it");
#undef EACH
#undef X

static const struct {
	unsigned effect;
	const char *name;
	void (*carry_out)(struct ccp_live *live, unsigned effects);
} actions[] = {
#define X(effect, fn) { CCP_EFFECT_##effect, #effect, fn },
	ACTIONS(X)
#undef X
};

void ccp_carry_out(struct ccp_live *live, unsigned effects)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(actions); i++) {
		if (!(effects & actions[i].effect))
			continue;
		CCP_CRASH_POINT("effect", actions[i].name, "before");
		actions[i].carry_out(live, effects);
		CCP_CRASH_POINT("effect", actions[i].name, "after");
	}
}
