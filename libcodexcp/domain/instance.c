#include "domain/instance.h"

#include <stdio.h>

struct ccp_process_id ccp_instance_process(const struct ccp_instance_row *row)
{
	struct ccp_process_id id = { .pid = row->pid,
				     .start_time = row->start_time,
				     .pid_namespace = row->pid_namespace };

	if (row->boot_id)
		snprintf(id.boot, sizeof(id.boot), "%s", row->boot_id);
	return id;
}
