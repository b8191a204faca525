/*
 * The columns of the tables, one X-macro list a table: it makes the row struct's members, the
 * column lists of the SQL, and the loops that bind and read (row.h). Times are wall-clock
 * milliseconds, 0 = not yet.
 */
#pragma once

/* SQL fragments of a list; each ends with a comma. */
#define CCP_ROW_NAME(name)   #name ", "
#define CCP_ROW_MARK(name)   "?, "
#define CCP_ROW_ASSIGN(name) #name " = ?, "

/* Asked: set at insert. Times are wall-clock milliseconds, 0 = not yet. */
#define CCP_OP_FIXED_COLUMNS(TEXT, INT)                                                            \
	TEXT(id)                                                                                   \
	TEXT(client_request_id) /* NULL: the caller named none */                                  \
	TEXT(request_hash)      /* of what decides whether two requests mean the same */           \
	TEXT(type)              /* start_chat, send_message, ... */                                \
	TEXT(parent_id)         /* the operation whose turn submitted this one */                  \
	INT(depth)              /* 0: a person or an orchestrator asked */                         \
	TEXT(agent_id)                                                                             \
	TEXT(project_id)                                                                           \
	TEXT(project_path)                                                                         \
	TEXT(cwd)          /* canonical */                                                         \
	TEXT(allowed_root) /* the root that cwd is below; checked again before each send */        \
	TEXT(title)                                                                                \
	INT(priority) /* 0 low, 1 normal, 2 high */                                                \
	TEXT(cost_class)                                                                           \
	TEXT(resource_keys)   /* JSON array or NULL */                                             \
	TEXT(sandbox)         /* asked for; NULL: what the thread has */                           \
	TEXT(approval)        /* asked for; NULL: what the thread has */                           \
	TEXT(sandbox_ceiling) /* at most this, whatever the thread has; NULL: no ceiling */        \
	TEXT(approval_floor)                                                                       \
	TEXT(model)                                                                                \
	TEXT(effort)                                                                               \
	TEXT(summary)                                                                              \
	TEXT(mode) /* collaboration mode: default or plan */                                       \
	INT(request_timeout_ms)                                                                    \
	TEXT(prompt_scope) /* thread id, or "new:" + project path */                               \
	TEXT(prompt_shape) /* what may be similar at all: domain/prompt.h; NULL: nothing */        \
	TEXT(prompt_hash)                                                                          \
	INT(prompt_guards)    /* 0: recorded, but never refuses another */                         \
	TEXT(on_interruption) /* continue: a turn that Codex cut is taken up again; NULL: not */   \
	INT(max_continuations)                                                                     \
	INT(created_at)

/* Where it stands. */
#define CCP_OP_STATE_COLUMNS(TEXT, INT)                                                            \
	INT(active) /* 1 until a terminal status */                                                \
	TEXT(status)                                                                               \
	TEXT(phase)                                                                                \
	TEXT(thread_id)                                                                            \
	TEXT(turn_id)                                                                              \
	INT(attempt)                                                                               \
	INT(crash_count)                                                                           \
	INT(overloads)      /* times app-server was too busy since a turn last began */            \
	INT(epoch)          /* of the worker that claimed it */                                    \
	TEXT(boot_id)       /* of the machine when the turn was sent */                            \
	TEXT(instance)      /* app-server process that has the thread */                           \
	TEXT(baseline_turn) /* last turn of the thread before ours; NULL none */                   \
	INT(baseline_count)                                                                        \
	INT(thread_is_new) /* this operation started the thread */                                 \
	TEXT(queued_reason)                                                                        \
	INT(not_before)                                                                            \
	INT(interrupt_at)      /* somebody asked to interrupt it */                                \
	TEXT(interrupt_reason) /* who: NULL a caller, or "stalled" */                              \
	INT(continuations)     /* turns begun to go on where an earlier one was cut */             \
	TEXT(continued_turn)   /* the one that the present turn goes on from */                    \
	INT(quota_waits)       /* times it waited for the account's limit */                       \
	INT(quota_held)        /* 1 from the limit until a turn goes through: others wait */       \
	TEXT(quota_limit)      /* which limit it is, as Codex calls it; NULL: it did not say */    \
	INT(quota_resets_at)   /* when the limit ends, as Codex says; 0: it did not */             \
	INT(quota_window)      /* minutes that the limit is counted over; 0 unknown */             \
	TEXT(terminals)        /* JSON: background terminals an interrupt found, ended, left */    \
	INT(stalled_at)        /* its turn has told nothing since then; 0: it is not stalled */    \
	TEXT(stall_evidence)   /* what app-server says to that */                                  \
	TEXT(effective_sandbox)                                                                    \
	TEXT(effective_approval)                                                                   \
	TEXT(effective_model)                                                                      \
	TEXT(effective_effort)                                                                     \
	TEXT(error_code)                                                                           \
	TEXT(error_message)                                                                        \
	TEXT(error_class) /* codexErrorInfo, or our own word */                                    \
	INT(error_retryable)                                                                       \
	TEXT(reason) /* why it ended as it did, beside the error */                                \
	INT(updated_at)                                                                            \
	INT(started_at)                                                                            \
	INT(completed_at)

/* What decides who may run beside whom: all that is read of those that run or may be next. */
#define CCP_OP_QUEUE_COLUMNS(TEXT, INT)                                                            \
	TEXT(id)                                                                                   \
	TEXT(agent_id)                                                                             \
	TEXT(project_path)                                                                         \
	TEXT(thread_id)                                                                            \
	TEXT(sandbox)                                                                              \
	TEXT(sandbox_ceiling)                                                                      \
	TEXT(effective_sandbox)                                                                    \
	TEXT(resource_keys)                                                                        \
	INT(priority)                                                                              \
	INT(created_at)                                                                            \
	TEXT(phase)                                                                                \
	INT(active)

#define CCP_TURN_COLUMNS(TEXT, INT)                                                                \
	TEXT(thread_id)                                                                            \
	TEXT(turn_id)                                                                              \
	TEXT(op_id)     /* NULL: not ours */                                                       \
	TEXT(status)    /* running, completed, failed, interrupted */                              \
	TEXT(error)     /* JSON as Codex gave it */                                                \
	TEXT(usage)     /* JSON: thread/tokenUsage/updated */                                      \
	TEXT(live_text) /* the newest words of a message that is still being written */            \
	TEXT(instance)                                                                             \
	INT(started_at)                                                                            \
	INT(updated_at)                                                                            \
	INT(completed_at)

#define CCP_MESSAGE_COLUMNS(TEXT, INT)                                                             \
	INT(id)                                                                                    \
	TEXT(thread_id)                                                                            \
	TEXT(turn_id)                                                                              \
	TEXT(item_id)                                                                              \
	TEXT(role)  /* user, assistant, plan */                                                    \
	TEXT(phase) /* commentary, final_answer or NULL */                                         \
	TEXT(text)                                                                                 \
	INT(created_at)

#define CCP_JOURNAL_COLUMNS(TEXT, INT)                                                             \
	INT(id)                                                                                    \
	INT(at)                                                                                    \
	TEXT(op_id)                                                                                \
	TEXT(thread_id)                                                                            \
	TEXT(turn_id)                                                                              \
	TEXT(item_id)                                                                              \
	TEXT(category) /* operation_status, item_status, token_usage, warning, ... */              \
	TEXT(severity) /* info, warning, error */                                                  \
	TEXT(text)     /* bounded, redacted, without tool payloads and hidden reasoning */         \
	TEXT(data)     /* JSON object, bounded, redacted */                                        \
	INT(progress)  /* 1: shown in status answers */

#define CCP_WORKER_COLUMNS(TEXT, INT)                                                              \
	TEXT(id)                                                                                   \
	INT(epoch)                                                                                 \
	TEXT(role)   /* worker, inline, observe */                                                 \
	TEXT(status) /* running, stopped */                                                        \
	INT(pid)                                                                                   \
	INT(start_time)                                                                            \
	TEXT(boot_id)                                                                              \
	TEXT(version)                                                                              \
	INT(started_at)                                                                            \
	INT(heartbeat_at)                                                                          \
	INT(stopped_at)                                                                            \
	TEXT(instance)   /* of its app-server, NULL when none runs */                              \
	TEXT(app_server) /* JSON: pid, version, userAgent, startedAt, binary */                    \
	TEXT(details)    /* JSON: what only the worker itself knows */                             \
	TEXT(last_error) /* why app-server cannot be started, or what went wrong last */

#define CCP_INSTANCE_COLUMNS(TEXT, INT)                                                            \
	TEXT(id)                                                                                   \
	INT(pid)                                                                                   \
	INT(start_time)                                                                            \
	TEXT(boot_id)                                                                              \
	INT(pid_namespace)                                                                         \
	INT(epoch)                                                                                 \
	TEXT(user_agent)                                                                           \
	TEXT(transport) /* stdio, unix */                                                          \
	INT(draining)   /* told to end: nothing new is sent to it */                               \
	INT(started_at)                                                                            \
	INT(ended_at)                                                                              \
	TEXT(end_reason)

/* What a front end asks the worker to do. */
#define CCP_COMMAND_COLUMNS(TEXT, INT)                                                             \
	TEXT(id)                                                                                   \
	TEXT(kind)   /* interrupt, ... */                                                          \
	TEXT(status) /* queued, running, completed, failed, timed_out */                           \
	TEXT(op_id)                                                                                \
	TEXT(args)    /* JSON object */                                                            \
	TEXT(result)  /* JSON object, or NULL */                                                   \
	TEXT(error)   /* JSON as ccp_error_json() makes it, or NULL */                             \
	INT(deadline) /* is not begun later than this; 0: whenever */                              \
	INT(created_at)                                                                            \
	INT(updated_at)                                                                            \
	INT(completed_at)
