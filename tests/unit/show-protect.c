// SPDX-License-Identifier: GPL-2.0-or-later
/* show-protect ROOT: prints what the PCI functions of the machine below ROOT carry, the warnings, and what is unknown. */
#include <stdio.h>
#include <string.h>

#include "../../src/protect.h"
#include "../../src/report.h"
#include "../../src/rule.h"
#include "../../src/scan.h"

int main(int argc, char *argv[])
{
	struct devices devices = { .n = 0 };
	struct protects protects;
	struct report report;
	struct root root;

	if (argc != 2 || sysfs_open(&root, argv[1]) < 0)
		return 3;
	report = report_new(&root, LEVEL_WARNING, false, false, false);
	/* a machine without a PCI bus has no devices */
	if (scan_devices(&root, &report, &devices) < 0)
		devices = (struct devices){ .n = 0 };
	if (protect_find(&root, &devices, false, &protects) < 0)
		return 4;
	for (size_t i = 0; i < devices.n; i++) {
		char addr[ADDR_MAX];

		if (devices.dev[i].carries[0])
			printf("%s %s\n", text_addr(addr, devices.dev[i].addr), devices.dev[i].carries);
	}
	for (size_t i = 0; i < protects.warnings; i++)
		printf("%s\n", protects.warning[i]);
	for (enum unknown kind = 0; kind < UNKNOWN_KINDS; kind++)
		if (devices.unknown[kind][0])
			printf("unknown %s\n", unknown_name[kind]);
	protect_free(&protects);
	devices_free(&devices);
	return 0;
}
