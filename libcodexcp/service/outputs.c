/*
 * What the tools answer: closed tables, which the black-box tests hold against every answer.
 */
#include "service/tool.h"

/* clang-format off */
#define STRING(name) CCP_OUT(name, CCP_TYPE_STRING)
#define INT(name) CCP_OUT(name, CCP_TYPE_INT)
#define BOOL(name) CCP_OUT(name, CCP_TYPE_BOOL)
#define TIME(name) CCP_OUT(name, CCP_TYPE_TIME)
#define ANY(name) CCP_OUT(name, CCP_TYPE_ANY)
#define OBJECT(name, table) CCP_OUT(name, CCP_TYPE_OBJECT, .fields = (table))
#define OPEN(name) CCP_OUT(name, CCP_TYPE_OBJECT)
#define LIST(name, table) CCP_OUT(name, CCP_TYPE_ARRAY, .fields = (table))
#define NEED(name, type) CCP_OUT(name, type, .flags = CCP_FIELD_REQUIRED)
#define END CCP_FIELD_END

/* Every answer may be an error instead. */
static const struct ccp_field error_table[] = {
	NEED("code", CCP_TYPE_STRING), NEED("message", CCP_TYPE_STRING),
	NEED("retryable", CCP_TYPE_BOOL), OPEN("details"), END
};
#define ENVELOPE NEED("ok", CCP_TYPE_BOOL), OBJECT("error", error_table)

static const struct ccp_field pointer_arguments[] = {
	STRING("turn_id"), STRING("thread_id"), INT("message_max_chars"), INT("message_offset"), END
};
static const struct ccp_field pointer_table[] = {
	NEED("tool", CCP_TYPE_STRING), OBJECT("arguments", pointer_arguments), END
};
/* How a text says that it was cut. */
#define CUT BOOL("truncated"), INT("originalChars"), INT("returnedChars"), \
	    OBJECT("readFullVia", pointer_table)

static const struct ccp_field message_table[] = {
	NEED("role", CCP_TYPE_STRING), NEED("text", CCP_TYPE_STRING), TIME("createdAt"),
	STRING("phase"), BOOL("inProgress"), CUT, END
};
static const struct ccp_field progress_table[] = {
	NEED("createdAt", CCP_TYPE_TIME), NEED("category", CCP_TYPE_STRING), STRING("severity"),
	STRING("text"), INT("id"), STRING("itemId"), OPEN("metadata"), CUT, END
};
static const struct ccp_field report_table[] = {
	NEED("text", CCP_TYPE_STRING), ANY("structured"), STRING("structuredStatus"),
	STRING("threadId"), STRING("turnId"), STRING("source"), CUT, END
};
static const struct ccp_field usage_table[] = {
	STRING("precision"), STRING("totalTokensBand"), STRING("inputTokensBand"),
	STRING("outputTokensBand"), END
};
static const struct ccp_field failure_table[] = {
	NEED("code", CCP_TYPE_STRING), NEED("message", CCP_TYPE_STRING), STRING("class"),
	NEED("retryable", CCP_TYPE_BOOL), TIME("retryAt"), OPEN("details"), END
};
static const struct ccp_field policy_table[] = {
	STRING("sandbox"), STRING("approvalPolicy"), STRING("model"), END
};
/* What a caller has said about how it may run. */
#define HINTS STRING("priority"), STRING("estimatedCostClass"), STRING("agentId"),                 \
	      CCP_OUT("resourceKeys", CCP_TYPE_STRINGS)
static const struct ccp_field queue_table[] = {
	STRING("queueStatus"), STRING("queuedReason"), HINTS, TIME("scheduledAt"), END
};
static const struct ccp_field slot_table[] = {
	NEED("claimed", CCP_TYPE_BOOL), STRING("projectKey"), STRING("agentId"),
	STRING("threadId"), TIME("claimedAt"), INT("epoch"),
	CCP_OUT("lockKeys", CCP_TYPE_STRINGS), END
};
static const struct ccp_field quota_table[] = { TIME("resetsAt"), INT("windowMinutes"), END };
static const struct ccp_field lock_table[] = {
	NEED("lockKey", CCP_TYPE_STRING), NEED("lockMode", CCP_TYPE_STRING),
	STRING("operationId"), STRING("threadId"), STRING("projectId"), TIME("createdAt"), END
};
static const struct ccp_field held_table[] = { LIST("locks", lock_table), END };
static const struct ccp_field trouble_table[] = { STRING("problem"), END };
static const struct ccp_field worker_state_table[] = {
	STRING("problem"), STRING("workerId"), STRING("status"), STRING("role"),
	TIME("lastHeartbeatAt"), INT("stalenessSeconds"), END
};
static const struct ccp_field turn_freshness_table[] = {
	INT("lastProgressAgeSeconds"), INT("turnStatusAgeSeconds"), END
};
static const struct ccp_field worker_freshness_table[] = { INT("heartbeatAgeSeconds"), END };
static const struct ccp_field event_table[] = {
	INT("id"), TIME("createdAt"), STRING("category"), STRING("severity"), STRING("text"),
	OPEN("details"), END
};
static const struct ccp_field similar_table[] = {
	STRING("operationId"), INT("similarityPercent"), END
};
static const struct ccp_field waited_table[] = {
	NEED("reason", CCP_TYPE_STRING), NEED("seconds", CCP_TYPE_INT), END
};

static const struct ccp_field stall_table[] = {
	NEED("since", CCP_TYPE_TIME), NEED("seconds", CCP_TYPE_INT),
	STRING("evidence"), END
};
static const struct ccp_field terminal_table[] = {
	NEED("command", CCP_TYPE_STRING), STRING("cwd"), END
};
static const struct ccp_field terminals_table[] = {
	NEED("method", CCP_TYPE_STRING), STRING("meaning"), INT("before"), INT("terminated"),
	LIST("remaining", terminal_table), END
};

/* `error` is why the operation failed, or why there is no operation to show. */
#define OPERATION \
	NEED("ok", CCP_TYPE_BOOL), STRING("operationId"), STRING("operationType"),                 \
	STRING("status"), STRING("phase"), STRING("reason"), STRING("projectId"),                  \
	STRING("threadId"), STRING("turnId"), TIME("createdAt"), TIME("startedAt"),                \
	TIME("updatedAt"), TIME("completedAt"), TIME("interruptRequestedAt"), INT("attemptCount"), \
	STRING("queuedReason"), TIME("nextAttemptAt"), OBJECT("quota", quota_table),               \
	INT("quotaWaits"), INT("continuations"), INT("maxContinuations"),                          \
	STRING("continuedTurnId"), STRING("onInterruption"), STRING("advice"),                     \
	OBJECT("requested", policy_table),                                                         \
	OBJECT("effective", policy_table), OBJECT("error", failure_table),                         \
	OBJECT("workerState", worker_state_table), LIST("latestMessages", message_table),          \
	LIST("progressEvents", progress_table), INT("progressEventCount"),                         \
	TIME("latestProgressAt"), OBJECT("tokenUsage", usage_table),                               \
	OBJECT("finalReport", report_table), STRING("nextRecommendedAction"),                      \
	INT("recommendedPollAfterSeconds"), BOOL("pollRecommended"), STRING("clientRequestId"),    \
	STRING("chatId"), STRING("cwd"), STRING("projectPath"), STRING("title"),                   \
	STRING("parentOperationId"), INT("maxAttempts"), INT("crashCount"),          \
	STRING("appServerInstance"), INT("stalenessSeconds"), OBJECT("queueState", queue_table), \
	OBJECT("slotState", slot_table), OBJECT("resourceLockState", held_table),                  \
	STRING("operationSource"), STRING("lastError"),                                          \
	INT("operationRowAgeSeconds"), STRING("stalenessMeaning"),                               \
	OBJECT("turnFreshness", turn_freshness_table),                                           \
	OBJECT("workerFreshness", worker_freshness_table),                                           \
	OBJECT("stall", stall_table), OBJECT("terminals", terminals_table)

const struct ccp_field ccp_operation_output[] = { OPERATION, LIST("events", event_table), END };
const struct ccp_field ccp_submit_output[] = {
	OPERATION, BOOL("idempotent"), STRING("idempotencyScope"),
	LIST("similarActiveOperations", similar_table), BOOL("deduplicated"),
	STRING("dedupAction"), STRING("existingOperationId"), END
};
const struct ccp_field ccp_wait_output[] = { OPERATION, OBJECT("waited", waited_table), END };

const struct ccp_field ccp_turn_output[] = {
	ENVELOPE, STRING("threadId"), STRING("turnId"), STRING("operationId"), STRING("status"),
	BOOL("completionObserved"), TIME("startedAt"), TIME("updatedAt"), TIME("completedAt"),
	STRING("source"), STRING("appServerInstance"), INT("stalenessSeconds"),
	STRING("lastError"), OBJECT("tokenUsage", usage_table),
	LIST("latestMessages", message_table), STRING("finalMessage"), CUT,
	LIST("progressEvents", progress_table), INT("progressEventCount"),
	TIME("latestProgressAt"), END
};

static const struct ccp_field target_table[] = {
	STRING("source"), STRING("operationId"), STRING("threadId"), STRING("turnId"), END
};
const struct ccp_field ccp_interrupt_output[] = {
	ENVELOPE, BOOL("interrupted"), STRING("operationId"), STRING("status"),
	STRING("threadId"), STRING("turnId"), OBJECT("interruptedTarget", target_table),
	OBJECT("terminals", terminals_table),
	STRING("commandId"), STRING("commandType"), OBJECT("workerState", trouble_table),
	STRING("nextRecommendedAction"), INT("recommendedPollAfterSeconds"),
	BOOL("pollRecommended"), END
};

static const struct ccp_field version_table[] = {
	STRING("serverName"), STRING("serverVersion"), STRING("contractVersion"),
	STRING("statusContract"), INT("toolCount"), STRING("toolSurfaceHash"), END
};
static const struct ccp_field worker_table[] = {
	STRING("executionMode"), BOOL("connected"), STRING("problem"), STRING("workerId"),
	STRING("role"), STRING("status"), INT("pid"), STRING("version"), TIME("startedAt"),
	TIME("lastHeartbeatAt"), STRING("lastError"), END
};
static const struct ccp_field lacks_table[] = {
	NEED("feature", CCP_TYPE_STRING), STRING("minimumVersion"), STRING("removedInVersion"), END
};
static const struct ccp_field app_server_table[] = {
	NEED("running", CCP_TYPE_BOOL), STRING("codexBinaryPath"), BOOL("codexBinaryExists"),
	STRING("problem"), STRING("instance"), INT("pid"), STRING("codexVersion"),
	STRING("userAgent"), STRING("transport"), TIME("startedAt"),
	LIST("unsupportedFeatures", lacks_table), BOOL("draining"), END
};
static const struct ccp_field active_table[] = {
	STRING("operationId"), STRING("status"), STRING("threadId"), STRING("turnId"),
	TIME("startedAt"), END
};
static const struct ccp_field work_table[] = {
	INT("activeOperationCount"), INT("queuedOperationCount"), INT("runningOperationCount"),
	INT("waitingOperationCount"), TIME("accountHeldUntil"), LIST("operations", active_table), END
};
static const struct ccp_field paths_table[] = {
	STRING("stateDb"), STRING("codexHome"), STRING("projectsRoot"),
	CCP_OUT("allowedRoots", CCP_TYPE_STRINGS), STRING("configFile"), STRING("worker"), END
};
static const struct ccp_field stalled_table[] = {
	NEED("operationId", CCP_TYPE_STRING), STRING("threadId"), STRING("turnId"),
	STRING("status"), TIME("updatedAt"), TIME("stalledSince"), INT("stalenessSeconds"),
	BOOL("hasPendingInteraction"), STRING("evidence"), END
};
static const struct ccp_field supervisor_table[] = {
	BOOL("enabled"), STRING("mode"), INT("timeoutSeconds"), INT("checkSeconds"),
	INT("stalledTurnCount"), LIST("stalledTurns", stalled_table),
	BOOL("automaticInterruptEnabled"), STRING("nextRecommendedAction"), END
};
const struct ccp_field ccp_health_output[] = {
	ENVELOPE, TIME("generatedAt"), STRING("overallStatus"), OBJECT("version", version_table),
	OBJECT("worker", worker_table), OBJECT("appServer", app_server_table),
	OBJECT("activeWork", work_table), OBJECT("stallSupervisor", supervisor_table),
	OBJECT("paths", paths_table),
	CCP_OUT("warnings", CCP_TYPE_STRINGS), OBJECT("stateProblem", error_table),
	STRING("nextRecommendedAction"), INT("recommendedPollAfterSeconds"),
	BOOL("pollRecommended"), END
};

static const struct ccp_field project_table[] = {
	NEED("projectId", CCP_TYPE_STRING), STRING("name"), STRING("path"), STRING("source"),
	TIME("lastActivityAt"), END
};
const struct ccp_field ccp_projects_output[] = {
	ENVELOPE, INT("totalCount"), INT("returnedCount"), BOOL("truncated"), BOOL("compact"),
	LIST("projects", project_table), END
};

#define ENTRY \
	NEED("operationId", CCP_TYPE_STRING), STRING("operationType"), STRING("operationStatus"), \
	STRING("queueStatus"), STRING("queuedReason"), HINTS, STRING("projectId"), \
	STRING("cwdKey"), STRING("threadId"), STRING("turnId"), TIME("createdAt"), \
	TIME("scheduledAt"), TIME("nextAttemptAt")
static const struct ccp_field entry_table[] = { ENTRY, END };
static const struct ccp_field queue_summary_table[] = {
	INT("queued"), INT("runningTurnOperations"), INT("activeTurnSlots"), INT("blockedByLocks"),
	END
};
const struct ccp_field ccp_queue_output[] = {
	ENVELOPE, STRING("executionMode"), INT("count"), BOOL("truncated"),
	OBJECT("queueSummary", queue_summary_table), OPEN("queueReasons"),
	LIST("queuedOperations", entry_table), LIST("runningOperations", entry_table),
	CCP_OUT("blockedByLocks", CCP_TYPE_STRINGS), STRING("nextRecommendedAction"),
	INT("recommendedPollAfterSeconds"), BOOL("pollRecommended"), END
};

static const struct ccp_field limits_table[] = {
	INT("maxActiveTurnsGlobal"), INT("maxActiveTurnsPerProject"),
	INT("maxActiveTurnsPerAgent"), INT("maxActiveTurnsPerThread"),
	INT("maxActiveWriteTurnsPerProject"), INT("maxAppServerPendingRequests"), END
};
static const struct ccp_field counts_table[] = {
	INT("global"), OPEN("perProject"), OPEN("perAgent"), OPEN("perThread"), END
};
static const struct ccp_field holder_table[] = { STRING("status"), ENTRY, END };
const struct ccp_field ccp_concurrency_output[] = {
	ENVELOPE, STRING("executionMode"), OBJECT("limits", limits_table), INT("activeTurnCount"),
	BOOL("backpressure"), OBJECT("counts", counts_table),
	LIST("activeOperations", holder_table), LIST("resourceLocks", lock_table),
	INT("resourceLockCount"), STRING("nextRecommendedAction"),
	INT("recommendedPollAfterSeconds"), BOOL("pollRecommended"), END
};

static const struct ccp_field worker_row_table[] = {
	NEED("workerId", CCP_TYPE_STRING), STRING("role"), STRING("status"),
	STRING("effectiveStatus"), BOOL("holdsLock"), INT("pid"), STRING("processState"),
	STRING("bootId"), INT("startTime"), INT("epoch"), STRING("version"), TIME("startedAt"),
	TIME("lastHeartbeatAt"), INT("stalenessSeconds"), TIME("stoppedAt"), STRING("lastError"),
	INT("activeOperationCount"), INT("activeTurnCount"), STRING("hostname"), STRING("unit"),
	STRING("cgroup"), STRING("logPath"), BOOL("stay"), BOOL("backpressure"),
	CCP_OUT("environmentVariables", CCP_TYPE_STRINGS), OPEN("configuration"), END
};
#define COMMAND \
	STRING("commandId"), STRING("commandType"), STRING("status"), STRING("operationId"), \
	TIME("createdAt"), TIME("updatedAt"), TIME("completedAt"), STRING("lastError")
static const struct ccp_field command_table[] = { COMMAND, END };
const struct ccp_field ccp_worker_status_output[] = {
	ENVELOPE, STRING("executionMode"), BOOL("running"), BOOL("connected"), STRING("problem"),
	OBJECT("appServer", app_server_table), LIST("workers", worker_row_table),
	LIST("recentCommands", command_table), STRING("nextRecommendedAction"),
	INT("recommendedPollAfterSeconds"), BOOL("pollRecommended"), END
};
const struct ccp_field ccp_worker_command_output[] = {
	ENVELOPE, COMMAND, BOOL("commandTimedOut"), ANY("result"), BOOL("resultAvailable"),
	BOOL("resultIncluded"), BOOL("resultTruncated"), INT("resultStoredChars"),
	STRING("resultWarning"), INT("elapsedMs"), STRING("nextRecommendedAction"),
	INT("recommendedPollAfterSeconds"), BOOL("pollRecommended"), END
};
/* clang-format on */
