// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * preclaim's stages from rules to report against the model kernel. What holds
 * is asked of the model, not of preclaim.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/apply.h"
#include "../../src/clock.h"
#include "../../src/match.h"
#include "../../src/plan.h"
#include "../../src/report.h"
#include "../../src/rule.h"
#include "../../src/scan.h"
#include "model.h"
#include "tap.h"

#define NIC "PCI_CLASS=20000\nPCI_ID=8086:10D3\nPCI_SUBSYS_ID=8086:A01F\n"
#define DISK "PCI_CLASS=10802\nPCI_ID=144D:A808\nPCI_SUBSYS_ID=144D:A801\n"

static struct model *m;

/* Two NICs alike, and a disk that its built-in driver holds; vfio-pci is a module. */
static void machine(void)
{
	m = model_new();
	m->device[0] = (struct model_device){ .addr = "0000:01:00.0", .uevent = NIC, .group = 1, .native = "e1000e" };
	m->device[1] = (struct model_device){ .addr = "0000:02:00.0", .uevent = NIC, .group = 2, .native = "e1000e" };
	m->device[2] = (struct model_device){ .addr = "0000:03:00.0", .uevent = DISK, .group = 3, .native = "nvme" };
	strcpy(m->module[0], "vfio-pci");
	model_register("nvme");
}

/* One run of "preclaim apply" with these rules. */
static struct tally apply(const char *text)
{
	struct root root;
	struct rules rules = rules_new();
	struct devices devices;
	struct drivers drivers;
	struct match match;
	struct plan plan;
	struct report report;
	struct outcome *outcome;
	struct tally tally;

	sysfs_open(&root, "/");
	report = report_new(&root, LEVEL_INFO, true, false);
	if (rules_add_file(&rules, "rules", str_of(text)) < 0 || scan_devices(&root, &report, &devices) < 0 ||
	    scan_drivers(&root, &drivers) < 0 || match_build(&match, &rules, &devices) < 0)
		abort();
	for (size_t i = 0; i < devices.n; i++)
		scan_override(&root, &devices.dev[i]);
	if (plan_build(&plan, &rules, &devices, &match, &drivers, NULL) < 0)
		abort();
	outcome = calloc(devices.n + 1, sizeof(*outcome));
	tally = apply_plan(&plan, &devices, &root, &report, clock_us() + rules.settings.timeout_ms * 1000ull, outcome);
	if (report_status(&root, &plan, outcome) < 0)
		abort();
	free(outcome);
	plan_free(&plan);
	match_free(&match);
	drivers_free(&drivers);
	devices_free(&devices);
	rules_free(&rules);
	return tally;
}

static bool driver_is(int device, const char *driver)
{
	return strcmp(m->device[device].driver, driver) == 0;
}

static bool override_is(int device, const char *driver)
{
	return strcmp(m->device[device].override, driver) == 0;
}

static bool logged(const char *text)
{
	return strstr(m->log, text) != NULL;
}

static void claims(void)
{
	struct tally t;
	int operations;

	machine();
	t = apply("claim 01:00.0\n");
	ok(t.claimed == 1 && t.failed == 0 && driver_is(0, "vfio-pci"), "a free device is claimed, its module loaded first");
	model_register("e1000e");
	ok(driver_is(0, "vfio-pci") && driver_is(1, "e1000e"), "the host's driver takes the twin only");
	ok(logged("<6>preclaim: 0000:01:00.0 [8086:10d3]: claimed by vfio-pci, group 1\n"), "the claim is logged");
	ok(strncmp(m->status, "0000:01:00.0 8086:10d3 claim claimed vfio-pci 1 rules:1 ", 56) == 0, "the status file has the claim");

	operations = m->operations;
	t = apply("claim 01:00.0\n");
	ok(t.claimed == 1 && m->operations == operations, "a second run writes nothing");

	machine();
	t = apply("claim 03:00.0\n");
	ok(t.claimed == 1 && driver_is(2, "vfio-pci") && logged("claimed by vfio-pci, taken from nvme, group 3"),
	   "a device is taken from a built-in driver, and the log says from which");

	machine();
	model_register("e1000e");
	model_register("vfio-pci");
	t = apply("claim class=0200\n");
	ok(t.claimed == 2 && driver_is(0, "vfio-pci") && driver_is(1, "vfio-pci"), "a built-in vfio-pci needs no module");

	machine();
	t = apply("claim 01:00.0 driver=none\nclaim 03:00.0 driver=none\n");
	ok(t.claimed == 2 && driver_is(0, "") && driver_is(2, "") && override_is(2, "none"), "driver=none leaves no driver");

	machine();
	m->device[0].deferrals = 2;
	t = apply("claim 01:00.0\n");
	ok(t.claimed == 1 && driver_is(0, "vfio-pci"), "a deferred probe is waited for");
}

static void names(void)
{
	machine();
	ok(apply("claim 01:00.0 driver=vfio_pci\n").failed == 1 && override_is(0, "vfio_pci"),
	   "a driver that modprobe cannot load is not claimed for");
	machine();
	strcpy(m->module[1], "vfio_pci");
	model_register("vfio-pci");
	ok(apply("claim 01:00.0 driver=vfio_pci\n").claimed == 1 && override_is(0, "vfio-pci"),
	   "- and _ are the same in a driver's name, and the override has the registered one");
}

static void failures(void)
{
	struct tally t;
	uint64_t start;

	machine();
	m->module[0][0] = '\0';
	t = apply("claim 01:00.0\n");
	ok(t.failed == 1 && driver_is(0, "") && override_is(0, "vfio-pci") &&
	   logged("not claimed: there is no driver vfio-pci; held without a driver"), "without a module the device is held");
	model_register("e1000e");
	ok(driver_is(0, ""), "a held device is not the host driver's");

	machine();
	m->module[0][0] = '\0';
	model_register("e1000e");
	t = apply("on-failure release\nclaim 01:00.0\n");
	ok(t.failed == 1 && driver_is(0, "e1000e") && override_is(0, "") && logged("; released to e1000e"),
	   "with on-failure release the host gets it back");

	machine();
	m->device[0].group = -1;
	start = clock_us();
	t = apply("claim 01:00.0 02:00.0\n");
	ok(t.failed == 1 && t.claimed == 1 && logged("the device has no IOMMU group") && clock_us() - start < 900000,
	   "a device without a group fails at once, its neighbour is claimed");

	machine();
	m->device[0].hangs = true;
	start = clock_us();
	t = apply("timeout 1\nclaim 01:00.0 02:00.0 03:00.0\n");
	ok(t.claimed == 2 && t.failed == 1 && driver_is(1, "vfio-pci") && driver_is(2, "vfio-pci") && clock_us() - start < 5000000,
	   "a probe that hangs delays the run by its timeout only, and no other device");
	ok(logged("0000:01:00.0 [8086:10d3]: not claimed yet: the write to drivers_probe has not ended"), "the hang is told");

	machine();
	m->modprobe_hangs = true;
	t = apply("timeout 1\nclaim 01:00.0 03:00.0\n");
	ok(t.failed == 2 && override_is(0, "vfio-pci") && override_is(2, "vfio-pci") && driver_is(2, ""),
	   "where modprobe hangs the devices are out of the host's reach all the same");
}

/*
 * Every write fails once with every error, or hangs: the run ends, the rest
 * stands, and a second run repairs it.
 */
static void faults(bool built_in)
{
	static const int errors[] = { ENOENT, ENODEV, EBUSY, EINVAL, EIO, ENOMEM, EAGAIN, 0 };
	static const char rules[] = "timeout 1\nclaim 01:00.0 02:00.0 03:00.0\n";
	const char *kind = built_in ? "a built-in vfio-pci" : "vfio-pci as a module";
	int points, tried = 0;
	bool ends = true, explained = true, repaired = true;

	machine();
	if (built_in)
		model_register("vfio-pci");
	apply(rules);
	points = m->operations;
	for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		for (int n = 1; n <= points; n++, tried++) {
			struct tally t;
			unsigned claimed = 0;

			machine();
			if (built_in)
				model_register("vfio-pci");
			m->fail_at = n;
			m->fail_error = errors[e];
			t = apply(rules);
			for (int i = 0; i < 3; i++)
				claimed += driver_is(i, "vfio-pci");
			ends &= t.claimed + t.failed == 3 && t.claimed == claimed && claimed >= 2;
			explained &= t.failed == 0 || logged("not claimed");
			m->fail_at = 0;
			repaired &= apply(rules).claimed == 3;
		}
	}
	ok(ends, "%s: whichever write fails, two of three devices are claimed and all are accounted for", kind);
	ok(explained, "%s: and the failure is explained", kind);
	ok(repaired, "%s: and a second run repairs it", kind);
	printf("# %d fault points, %zu errors and hangs: %d runs\n", points, sizeof(errors) / sizeof(errors[0]), tried);
}

int main(void)
{
	claims();
	names();
	failures();
	faults(false);
	faults(true);
	return finish();
}
