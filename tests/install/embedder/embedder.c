#include <stdio.h>

#include <codexcp/codexcp.h>

int main(void)
{
	json_t *tools = codexcp_tools();

	printf("%s %d\n", codexcp_version(), json_array_size(tools) > 0);
	json_decref(tools);
	return 0;
}
