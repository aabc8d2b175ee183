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
	bool in_image;		/* this is an initramfs: there is an /init */
	bool has_facts;		/* there is what a hook found on the machine that made the image */
	bool from_policy;	/* the rules are those that this boot goes by */
	struct str facts;	/* the text of the facts, for the policy */
};

/*
 * Read the rules in their order: file alone where it is not NULL (a path of
 * the caller's, not below the root), else /etc/preclaim.conf and
 * /etc/preclaim.d/ *.conf in byte order of their names, both optional; then
 * cmdline, or /proc/cmdline where that is NULL. The facts of an image are in
 * /etc/preclaim.image; without that nothing is known. 0 or -ENOMEM; give it to config_free() in either case.
 */
int config_read(struct config *out, const struct root *root, const struct report *report, const char *file,
		const char *cmdline);

/*
 * Read what this boot goes by, which an earlier run has left in
 * /run/preclaim/policy. 0, 1 where there is none, or -errno. As above.
 */
int config_read_policy(struct config *out, const struct root *root);

/* The first line of a policy: made by the image, or by a person's apply, from which on no rule takes what is needed. */
#define POLICY_OF_IMAGE "policy image"
#define POLICY_OF_HOST "policy host"

/* A line of a policy that not all rules of the image are in. */
#define POLICY_PARTIAL "policy partial"

/*
 * A rule from the command line's words, and no other: keyword is "claim" or
 * "keep". As above.
 */
int config_from_words(struct config *out, const char *keyword, char *const *word, int words);
void config_free(struct config *config);

#endif
