// SPDX-License-Identifier: GPL-2.0-or-later
/* show-protect ROOT: prints what the PCI functions of the machine below ROOT carry, and the warnings. */
#include <stdio.h>
#include <string.h>

#include "../../src/protect.h"
#include "../../src/report.h"
#include "../../src/scan.h"

int main(int argc, char *argv[])
{
	struct devices devices = { .n = 0 };
	struct protects protects;
	struct report report;
	struct root root;

	if (argc != 2 || sysfs_open(&root, argv[1]) < 0)
		return 3;
	report = report_new(&root, LEVEL_WARNING, false, false);
	/* a machine without a PCI bus has no devices */
	if (scan_devices(&root, &report, &devices) < 0)
		devices = (struct devices){ .n = 0 };
	if (protect_find(&root, &devices, false, &protects) < 0)
		return 4;
	for (size_t i = 0; i < devices.n; i++) {
		char line[128], addr[ADDR_MAX];
		struct text t = text_in(line, sizeof(line));

		protect_text(protects.carries[i], &t);
		if (protects.carries[i])
			printf("%s %s\n", text_addr(addr, devices.dev[i].addr), line);
	}
	for (size_t i = 0; i < protects.warnings; i++)
		printf("%s\n", protects.warning[i]);
	protect_free(&protects);
	devices_free(&devices);
	return 0;
}
