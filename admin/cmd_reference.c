/*
 * reference: a page of the reference, for the build.
 */
#include "admin/admin.h"
#include "base/error.h"

int admin_reference(const void *options, int argc, char **argv)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *page = argc ? codexcp_reference(argv[0]) : NULL;

	if (page)
		return admin_print(page);
	ccp_fail_argument(&err, "PAGE", "tools, config, config-example, errors or state-machines",
			  NULL);
	return admin_fail(&err, options);
}
