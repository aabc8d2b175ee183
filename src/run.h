/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RUN_H
#define RUN_H

#include "preclaim.h"

enum exit_status { EXIT_HOLDS, EXIT_NOT_HELD, EXIT_RULES, EXIT_USAGE, EXIT_SYSTEM };

enum command { COMMAND_APPLY, COMMAND_CHECK, COMMAND_LIST, COMMAND_STATUS };

struct options {
	enum command command;
	const char *root, *config, *cmdline;
	bool dry_run, image, wait;
	enum level loudest;
	char **address;		/* as given: the devices that are asked for */
	int addresses;
};

/* "0000:01:00.0", or without the domain. False where it is no address. */
bool run_parse_address(const char *text, struct addr *out);

/* One run, from the rules to the report. Its exit status. */
enum exit_status run_command(const struct options *options);

#endif
