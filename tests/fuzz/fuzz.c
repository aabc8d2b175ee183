// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What comes from outside, as libFuzzer makes it up: one program, whose name
 * tells what the input is. All of preclaim reads it that reads it on a real
 * machine, and prints what comes of it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/run.h"
#include "../../src/text.h"
#include "tree.h"

static const char machine_file[] = "tests/fuzz/machine.manifest";

static const char rules[] =
	"group refuse\nclaim class=02 00.0/00.0 group@01:00.0\nkeep 10de:*\nclaim 01:00.0 driver=auto\nvfs 05:00.0=max\nclaim vf0-1@05:00.0\n"
	"vfs 8086:10c9=1\nkeep vf3@05:00.0\nclaim 8086:10ca@05:10\n";

/* What an input can be, and the file that has it; of sysfs it is a manifest of what differs from the machine. */
static const struct target {
	const char *name, *path;
} targets[] = {
	{ "rules", "etc/preclaim.conf" },
	{ "cmdline", "proc/cmdline" },
	{ "facts", "etc/preclaim.image" },
	{ "policy", "run/preclaim/policy" },
	{ "aliases", "lib/modules/6.12/modules.alias" },
	{ "status", "run/preclaim/status" },
	{ "mounts", "proc/self/mountinfo" },
	{ "sysfs", NULL },
};

static const struct target *target;
static char *machine;
static size_t machine_len;

static void read_machine(void)
{
	FILE *in = fopen(machine_file, "rb");

	if (!in)
		perror(machine_file), exit(2);
	machine = malloc(65536);
	machine_len = machine ? fread(machine, 1, 65536, in) : 0;
	fclose(in);
	if (machine_len == 0)
		fprintf(stderr, "%s: cannot read it\n", machine_file), exit(2);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = strrchr((*argv)[0], '/');

	(void)argc;
	name = name ? name + 1 : (*argv)[0];
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (strcmp(name, targets[i].name) == 0)
			target = &targets[i];
	if (!target)
		fprintf(stderr, "%s: no such target\n", name), exit(2);
	read_machine();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct options commands[] = {
		{ .command = COMMAND_CHECK }, { .command = COMMAND_CHECK, .image = true },
		{ .command = COMMAND_STATUS }, { .command = COMMAND_LIST, .json = true },
	};
	const struct str input = { .p = (const char *)data, .len = size };

	tree_clear();
	tree_add_file("etc/preclaim.conf", str_of(rules));
	tree_add_manifest((struct str){ .p = machine, .len = machine_len });
	if (target->path)
		tree_add_file(target->path, input);
	else
		tree_add_manifest(input);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct options o = commands[i];

		o.root = "/";
		o.loudest = LEVEL_INFO;
		run_command(&o);
	}
	return 0;
}
