/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RUN_H
#define RUN_H

#include "preclaim.h"

enum exit_status { EXIT_HOLDS, EXIT_NOT_HELD, EXIT_RULES, EXIT_USAGE, EXIT_SYSTEM };

enum command { COMMAND_APPLY, COMMAND_CHECK, COMMAND_LIST, COMMAND_STATUS, COMMAND_CLAIM, COMMAND_RELEASE };

struct options {
	enum command command;
	const char *root, *config, *cmdline;
	bool dry_run, image, wait, force, json;
	bool boot;		/* apply: nobody has asked for it, so that it goes by the policy of this boot */
	enum level loudest;
	char **word;		/* of apply and release the addresses, of claim the rule */
	int words;
};

/* "0000:01:00.0", or without the domain. False where it is no address. */
bool run_parse_address(const char *text, struct addr *out);

/* One run, from the rules to the report. Its exit status. */
enum exit_status run_command(const struct options *options);

#endif
