/*
 * An app-server process as its row knows it: what is asked of the system before it is believed to
 * live (runtime/process.h).
 */
#pragma once

#include "runtime/process.h"
#include "store/worker_store.h"

struct ccp_process_id ccp_instance_process(const struct ccp_instance_row *row);
