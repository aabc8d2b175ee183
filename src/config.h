/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONFIG_H
#define CONFIG_H

#include "report.h"
#include "rule.h"
#include "sysfs.h"

/* The rules of a run with the texts that they point into. */
struct config {
	struct rules rules;
	char **text;
	size_t n;
	bool unreadable;	/* a source is there but could not be read; it has been told */
	bool partial;		/* a later run may know other rules: files or the command line could not be read, or others were given */
	bool has_facts;		/* this is an image, with what its hook found on the machine that made it */
};

/*
 * Read the rules in their order: file alone where it is not NULL (a path of
 * the caller's, not below the root), else /etc/preclaim.conf and
 * /etc/preclaim.d/ *.conf in byte order of their names, both optional; then
 * cmdline, or /proc/cmdline where that is NULL. The facts of an image are in
 * /etc/preclaim.image. 0 or -ENOMEM; give it to config_free() in either case.
 */
int config_read(struct config *out, const struct root *root, const struct report *report, const char *file,
		const char *cmdline);

/*
 * A rule from the command line's words, and no other: keyword is "claim" or
 * "keep". As above.
 */
int config_from_words(struct config *out, const char *keyword, char *const *word, int words);
void config_free(struct config *config);

#endif
