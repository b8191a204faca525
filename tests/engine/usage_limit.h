/*
 * The account's usage limit, in the words of the fake app-server's script.
 */
#pragma once

/* The turn that has begun meets it. */
#define LIMIT                                                                                      \
	"fail {\"message\":\"You've hit your usage limit.\",\"codexErrorInfo\":"                   \
	"\"usageLimitExceeded\",\"additionalDetails\":null}\n"
#define BEGIN_TURN "expect turn/start\ndefault\n"
#define MEET_LIMIT BEGIN_TURN LIMIT
