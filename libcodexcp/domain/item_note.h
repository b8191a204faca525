/*
 * One line for the journal about something that happened in a turn: what kind of item, how it went,
 * its counts. Pure: JSON in, text out; never payloads, output or diffs.
 */
#pragma once

#include "appserver/events.h"
#include "base/error.h"
#include "base/strbuf.h"

struct ccp_item_note {
	const char *category; /* static */
	const char *severity; /* static */
	char *text;           /* owned */
	json_t *data;         /* owned object or NULL */
};
void ccp_item_note_done(struct ccp_item_note *note);

/* 1: worth telling, *ret_note filled; 0: not. */
int ccp_item_note(const json_t *item, bool completed, struct ccp_item_note *ret_note,
		  struct codexcp_error *err);
/* Counts of a unified diff. */
int ccp_diff_note(const char *diff, struct ccp_item_note *ret_note, struct codexcp_error *err);
/* error, warning, model/rerouted, turn/plan/updated. */
int ccp_event_note(const struct ccp_event *event, struct ccp_item_note *ret_note,
		   struct codexcp_error *err);
/* The first line of a text, without secrets, clipped. */
void ccp_item_append_clipped(struct ccp_strbuf *sb, const char *text, size_t max_chars);
