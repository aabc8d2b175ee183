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
#include "../../src/run.h"
#include "../../src/steps.h"
#include "../../src/text.h"
#include "../../src/work.h"
#include "../fuzz/tree.h"
#include "model.h"
#include "tap.h"

#define NIC "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00"
#define PF "pci:v00008086d000010C9sv00008086sd0000A01Fbc02sc00i00"
#define VF "pci:v00008086d000010CAsv00008086sd0000A01Fbc02sc00i00"
#define DISK "pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02"

static struct model *m;

/* Two NICs alike, and a disk that its built-in driver holds; vfio-pci is a module. */
static void machine(void)
{
	m = model_new();
	m->device[0] = (struct model_device){ .addr = "0000:01:00.0", .modalias = NIC, .group = 1, .native = "e1000e" };
	m->device[1] = (struct model_device){ .addr = "0000:02:00.0", .modalias = NIC, .group = 2, .native = "e1000e" };
	m->device[2] = (struct model_device){ .addr = "0000:03:00.0", .modalias = DISK, .group = 3, .native = "nvme" };
	strcpy(m->module[0], "vfio-pci");
	model_register("nvme");
}

/* What one run of "preclaim apply" with these rules says that it came to. */
static struct tally apply_rules(const char *text)
{
	const struct options options = { .root = "/", .loudest = LEVEL_INFO };
	struct tally t = { .failed = 99 };
	const char *done, *next;

	m->conf = text;
	run_command(&options);
	done = strstr(m->log, "preclaim: done: ");
	while (done && (next = strstr(done + 1, "preclaim: done: ")))
		done = next;
	if (done)
		sscanf(done, "preclaim: done: %u claimed, %u VFs, %u refused, %u failed", &t.claimed, &t.vfs, &t.refused, &t.failed);
	return t;
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

static bool probed(const char *text)
{
	return strstr(m->probes, text) != NULL;
}

static unsigned times(const char *text, const char *in)
{
	unsigned n = 0;

	for (const char *at = in; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* Whether but so many processes of a run remain, in a moment: the others have to come to their end. */
static bool remains(int n)
{
	for (int tries = 0; tries < 200 && model_processes() != n; tries++)
		usleep(10000);
	return model_processes() == n;
}

/* So many NICs, each in a group of its own. */
static void nics(int n)
{
	static char addr[MODEL_DEVICES][ADDR_MAX];

	m = model_new();
	for (int i = 0; i < n; i++) {
		snprintf(addr[i], sizeof(addr[i]), "0000:%02x:00.0", i + 1);
		m->device[i] = (struct model_device){ .addr = addr[i], .modalias = NIC, .group = i, .native = "e1000e" };
	}
}

/* More devices that hang than can be waited for. */
static void hangs(void)
{
	const int n = WORKERS_MAX + 6;
	unsigned begun, left;
	struct tally t;

	nics(n);
	for (int i = 0; i < n; i++)
		m->device[i].hangs = true;
	model_register("vfio-pci");
	t = apply_rules("timeout 3\nclaim *:*\n");
	begun = times("vfio-pci\n", m->probes);
	left = times("there was no time left for it; another run finishes it", m->log);
	ok(t.failed == (unsigned)n && begun > 1 && left > 0 && begun + left == (unsigned)n &&
	   times("the write to drivers_probe has not ended", m->log) == begun && override_is(n - 1, "vfio-pci"),
	   "where many probes hang, those for which there is no time are told apart, and out of the host's reach all the same");
	usleep(500000);
	ok(times("vfio-pci\n", m->probes) == begun, "nor is any begun after the end of the run");
}

/* One after the other would take more than the time that there is. */
static void overlaps(void)
{
	const int n = 30;
	struct tally t;

	nics(n);
	model_register("e1000e");
	model_register("vfio-pci");
	m->together = n;
	t = apply_rules("timeout 4\nclaim *:*\n");
	ok(t.claimed == (unsigned)n && times("claimed by vfio-pci, taken from e1000e", m->log) == (unsigned)n,
	   "drivers that take their time to let go of devices do so at the same time");
}

static void claims(void)
{
	struct tally t;
	unsigned writes;

	machine();
	t = apply_rules("claim 01:00.0\n");
	ok(t.claimed == 1 && t.failed == 0 && driver_is(0, "vfio-pci"), "a free device is claimed, its module loaded first");
	model_register("e1000e");
	ok(driver_is(0, "vfio-pci") && driver_is(1, "e1000e"), "the host's driver takes the twin only");
	ok(logged("<6>preclaim: 0000:01:00.0 [8086:10d3]: claimed by vfio-pci, group 1\n"), "the claim is logged");
	ok(strncmp(m->status, "0000:01:00.0 8086:10d3 claim claimed vfio-pci 1 /etc/preclaim.conf:1 ", 68) == 0, "the status file has the claim");

	writes = m->writes;
	t = apply_rules("claim 01:00.0\n");
	ok(t.claimed == 1 && m->writes == writes, "a second run writes nothing");

	machine();
	t = apply_rules("claim 03:00.0\n");
	ok(t.claimed == 1 && driver_is(2, "vfio-pci") && logged("claimed by vfio-pci, taken from nvme, group 3"),
	   "a device is taken from a built-in driver, and the log says from which");

	machine();
	model_register("e1000e");
	model_register("vfio-pci");
	t = apply_rules("claim class=0200\n");
	ok(t.claimed == 2 && driver_is(0, "vfio-pci") && driver_is(1, "vfio-pci"), "a built-in vfio-pci needs no module");

	machine();
	t = apply_rules("claim 01:00.0 driver=none\nclaim 03:00.0 driver=none\n");
	ok(t.claimed == 2 && driver_is(0, "") && driver_is(2, "") && override_is(2, "none"), "driver=none leaves no driver");

	machine();
	m->device[0].deferrals = 2;
	t = apply_rules("claim 01:00.0\n");
	ok(t.claimed == 1 && driver_is(0, "vfio-pci"), "a deferred probe is waited for");
	machine();
	m->device[0].deferrals = 2;
	m->device[0].says_einval = true;
	t = apply_rules("claim 01:00.0\n");
	ok(t.claimed == 1 && t.failed == 0 && driver_is(0, "vfio-pci"), "also where drivers_probe answers with EINVAL");
	machine();
	m->device[0].deferrals = 1 << 30;
	m->device[0].says_einval = true;
	t = apply_rules("claim 01:00.0\n");
	ok(t.failed == 1 && logged("vfio-pci did not bind: Invalid argument (22); does it support this device?"), "which is told where the driver never binds");

	machine();
	m->device[2].registering = 5;
	t = apply_rules("claim 01:00.0\nclaim 03:00.0\n");
	ok(t.claimed == 2 && driver_is(0, "vfio-pci") && driver_is(2, "vfio-pci"), "a driver that cannot be unbound yet, as it is being registered, is waited for");
	machine();
	m->device[2].registering = 5;
	t = apply_rules("claim 03:00.0 driver=none\n");
	ok(t.claimed == 1 && driver_is(2, ""), "the same for driver=none");
	machine();
	m->device[0].late = m->device[1].late = true;
	t = apply_rules("claim 01:00.0\nclaim 02:00.0 driver=none\n");
	ok(t.claimed == 2 && driver_is(0, "vfio-pci") && driver_is(1, ""), "a driver that came between the scan and the override is unbound");
	machine();
	m->device[2].registering = 1 << 30;
	t = apply_rules("timeout 1\nclaim 01:00.0\nclaim 03:00.0\n");
	ok(t.claimed == 1 && t.failed == 1 && driver_is(0, "vfio-pci") && logged("0000:03:00.0 [144d:a808]: not claimed yet: there was no time left for it"),
	   "one that is never registered keeps no other device waiting, and is left to another run");
}

static void names(void)
{
	machine();
	ok(apply_rules("claim 01:00.0 driver=some_driver\n").failed == 1 && override_is(0, "some_driver"),
	   "a driver that modprobe cannot load is not claimed for");
	machine();
	strcpy(m->module[1], "vfio_pci");
	model_register("vfio-pci");
	ok(apply_rules("claim 01:00.0 driver=vfio_pci\n").claimed == 1 && override_is(0, "vfio-pci"),
	   "- and _ are the same in a driver's name, and the override has the registered one");
}

static void failures(void)
{
	struct tally t;
	uint64_t start;

	machine();
	m->module[0][0] = '\0';
	t = apply_rules("claim 01:00.0\n");
	ok(t.failed == 1 && driver_is(0, "") && override_is(0, "vfio-pci") &&
	   logged("not claimed: there is no driver vfio-pci; held without a driver"), "without a module the device is held");
	model_register("e1000e");
	ok(driver_is(0, ""), "a held device is not the host driver's");

	machine();
	m->module[0][0] = '\0';
	model_register("e1000e");
	t = apply_rules("on-failure release\nclaim 01:00.0\n");
	ok(t.failed == 1 && driver_is(0, "e1000e") && override_is(0, "") && logged("; released to e1000e"),
	   "with on-failure release the host gets it back");

	machine();
	m->device[0].group = -1;
	t = apply_rules("claim 01:00.0 02:00.0\n");
	ok(t.failed == 1 && t.claimed == 1 && logged("the device has no IOMMU group"),
	   "a device without a group fails, its neighbour is claimed");

	machine();
	m->device[0].groupless = 1;
	t = apply_rules("claim 01:00.0 02:00.0\n");
	ok(t.failed == 0 && t.claimed == 2 && !logged("IOMMU group"), "a device that is just being added is waited for until it has its group");

	machine();
	model_register("vfio-pci");
	m->device[0].vanishes = true;
	t = apply_rules("claim 01:00.0 02:00.0\n");
	ok(t.failed == 1 && t.claimed == 1 && logged("0000:01:00.0 [8086:10d3]: not claimed: it was pulled out"), "a device that is pulled out is told of as such");

	machine();
	m->device[0].hangs = true;
	start = clock_us();
	t = apply_rules("timeout 1\nclaim 01:00.0 02:00.0 03:00.0\n");
	ok(t.claimed == 2 && t.failed == 1 && driver_is(1, "vfio-pci") && driver_is(2, "vfio-pci") && clock_us() - start < 10000000,
	   "a probe that hangs delays the run by its timeout only, and no other device");
	ok(logged("0000:01:00.0 [8086:10d3]: not claimed yet: the write to drivers_probe has not ended"), "the hang is told");

	machine();
	m->modprobe_hangs = true;
	t = apply_rules("timeout 1\nclaim 01:00.0 03:00.0\n");
	ok(t.failed == 2 && override_is(0, "vfio-pci") && override_is(2, "vfio-pci") && driver_is(2, ""),
	   "where modprobe hangs the devices are out of the host's reach all the same");
	ok(remains(1), "and it is the only process that remains");
}

/* A PF with four VFs, whose driver is there; igbvf would like the VFs, and is a module. */
static void sriov_machine(void)
{
	static const char *const addr[] = { "0000:05:10.0", "0000:05:10.2", "0000:05:10.4", "0000:05:10.6" };

	m = model_new();
	m->device[0] = (struct model_device){ .addr = "0000:05:00.0", .modalias = PF, .group = 5, .native = "igb", .total_vfs = 4 };
	for (int i = 0; i < 4; i++)
		m->device[i + 1] = (struct model_device){ .addr = addr[i], .modalias = VF, .group = 10 + i, .native = "igbvf",
							  .gone = true, .vf_of = 0, .vf = i + 1 };
	strcpy(m->module[0], "vfio-pci");
	strcpy(m->module[1], "igbvf");
	model_register("igb");
}

/* One run of a command with a device as its argument. */
static int run_on(enum command command, char *device, bool force)
{
	char *words[] = { device };

	m->log[0] = '\0';
	return run_command(&(struct options){ .command = command, .root = "/", .loudest = LEVEL_INFO, .word = words, .words = 1, .force = force });
}

static void by_hand(void)
{
	char first[] = "01:00.0", vf[] = "05:10.0", nothing[] = "09:00.0";

	machine();
	strcpy(m->module[1], "e1000e");
	m->conf = "keep 01:00.0\n";
	ok(run_on(COMMAND_CLAIM, first, false) == EXIT_HOLDS && driver_is(0, "vfio-pci"), "claim takes a device now, whatever the rules say");
	ok(run_on(COMMAND_CLAIM, first, false) == EXIT_HOLDS, "claiming it again is no error");
	m->device[0].open = true;
	ok(run_on(COMMAND_RELEASE, first, false) == EXIT_NOT_HELD && driver_is(0, "vfio-pci") && logged("a guest has it open"),
	   "what a guest has is not released");
	m->device[0].open = false;
	ok(run_on(COMMAND_RELEASE, first, false) == EXIT_HOLDS && driver_is(0, "e1000e") && override_is(0, "") && logged("released to e1000e"),
	   "release gives it back to the host's driver, which is loaded");
	ok(run_on(COMMAND_RELEASE, nothing, false) == EXIT_NOT_HELD && logged("no device matches"), "a device that is not there is not released");
	machine();
	ok(run_on(COMMAND_CLAIM, first, false) == EXIT_HOLDS && run_on(COMMAND_RELEASE, first, false) == EXIT_HOLDS && driver_is(0, "") &&
	   override_is(0, "") && logged("the host has no driver for it"), "where the host has no driver, that is told");

	sriov_machine();
	apply_rules("vfs 05:00.0=2\n");
	ok(run_on(COMMAND_RELEASE, vf, false) == EXIT_HOLDS && driver_is(1, "igbvf") && driver_is(2, "vfio-pci") && m->device[0].fenced,
	   "a VF is released through the fence, which stays for the others");
	sriov_machine();
	apply_rules("vfs 05:00.0=2\n");
	m->device[1].probe_ms = 250;
	m->device[0].fence_ms = 200;
	ok(run_on(COMMAND_RELEASE, vf, false) == EXIT_HOLDS && driver_is(1, "igbvf") && m->device[0].fenced,
	   "and asked for once more where the write that was to bind it came behind the fence");
}

/* A claimed device, whose release is asked for where that is all that tells whether a guest has it. Whether it was released. */
static bool is_free(int groups, int error, const char *tree)
{
	char first[] = "01:00.0";

	machine();
	apply_rules("claim 01:00.0\n");
	m->groups = groups;
	m->group_error = error;
	tree_add_manifest(str_of(tree));
	return run_on(COMMAND_RELEASE, first, false) == EXIT_HOLDS && override_is(0, "");
}

#define CDEV "sys/bus/pci/devices/0000:01:00.0/vfio-dev/vfio3/dev = 1:1\\n\ndev/vfio/devices/vfio3 =\n"
#define PROCESSES "proc/self/fd/0 -> /dev/null\nproc/1/fd/0 -> /dev/null\nproc/77/fd/0 -> socket:[123456789012345]\n"

static void in_use(void)
{
	ok(is_free(GROUPS, 0, ""), "what no guest has is released");
	ok(!is_free(GROUPS, EBUSY, "") && !is_free(GROUPS, EACCES, "") && !is_free(GROUPS, EMFILE, "") && !is_free(GROUPS, EIO, ""),
	   "where opening its group fails in any way, a guest may have it");
	ok(is_free(GROUPS_NOIOMMU, 0, "") && !is_free(GROUPS_NONE, 0, ""), "the group may be one without an IOMMU, but some must be there");
	ok(is_free(GROUPS_NONE, 0, CDEV PROCESSES), "or it is a device of iommufd's, which no process has open");
	ok(!is_free(GROUPS_NONE, 0, CDEV PROCESSES "proc/77/fd/12 -> /dev/vfio/devices/vfio3\n"), "one may have it");
	ok(is_free(GROUPS_NONE, 0, CDEV PROCESSES "proc/77/fd/12 -> /dev/vfio/devices/vfio33\n"), "or another");
	ok(!is_free(GROUPS_NONE, 0, CDEV) && !is_free(GROUPS_NONE, 0, PROCESSES), "without /proc, or without the device, that cannot be told");
}

/* What goes to the host from behind the fence, and what is told of it. */
static void behind_the_fence(void)
{
	struct tally t;

	sriov_machine();
	t = apply_rules("on-failure release\nvfs 05:00.0=2\nclaim vf0@05:00.0 driver=no-such\n");
	ok(t.failed == 1 && t.claimed == 1 && driver_is(1, "igbvf") && override_is(1, "") && driver_is(2, "vfio-pci") && m->device[0].fenced &&
	   logged("0000:05:10.0 [8086:10ca]: not claimed: there is no driver no-such; released to igbvf\n"),
	   "a VF that is released since its claim failed gets the host's driver through the fence, which is up again");
	ok(!probed("05:10.2 igbvf"), "and the claimed one beside it is never probed by that");
	sriov_machine();
	m->module[1][0] = '\0';
	apply_rules("on-failure release\nvfs 05:00.0=2\nclaim vf0@05:00.0 driver=no-such\n");
	ok(driver_is(1, "") && m->device[0].fenced && logged("; released; no driver of the host has it\n"), "where the host has none, it is not said to be released to it");
	sriov_machine();
	m->device[2].refuses = true;
	t = apply_rules("on-failure release\nvfs 05:00.0=3\nclaim vf0@05:00.0 vf2@05:00.0 driver=no-such\n");
	ok(t.failed == 3 && driver_is(1, "igbvf") && driver_is(3, "igbvf") && override_is(2, "") && m->device[0].fenced,
	   "of several that fail none keeps another from the host");
	sriov_machine();
	model_register("igbvf");
	m->device[0].num_vfs = 2;
	m->device[1].gone = m->device[2].gone = false;
	m->device[1].hangs = true;
	t = apply_rules("timeout 1\non-failure release\nclaim vf0@05:00.0\nclaim vf1@05:00.0 driver=no-such\n");
	ok(driver_is(2, "igbvf") && override_is(1, "vfio-pci") && m->device[0].fenced, "nor does a claim that hangs, once its override is there");

	sriov_machine();
	m->device[1].group = m->device[2].group = 10;
	t = apply_rules("group refuse\nvfs 05:00.0=2\nclaim 8086:10ca@05:10.4\nkeep vf1@05:00.0\n");
	ok(t.refused == 1 && driver_is(1, "igbvf") && driver_is(2, "igbvf") && m->device[0].fenced, "a VF that is refused for its group's sake is the host's");
	sriov_machine();
	m->device[0].fenced = true;
	m->device[0].num_vfs = 2;
	m->device[1].gone = m->device[2].gone = false;
	t = apply_rules("claim vf0@05:00.0\nclaim 8086:1520@05:10.2\n");
	ok(t.refused == 1 && driver_is(1, "vfio-pci") && driver_is(2, "igbvf") && m->device[0].fenced, "and so is one that is not what was expected");
}

/* A host's driver whose probe is deferred, for so many times. */
static void put_off(int deferrals)
{
	sriov_machine();
	m->device[2].deferrals = deferrals;
	m->device[2].says_einval = true;
}

static void deferred_for_the_host(void)
{
	char vf[] = "05:10.2";
	struct tally t;

	put_off(2);
	t = apply_rules("vfs 05:00.0=2\nkeep vf1@05:00.0\n");
	ok(t.failed == 0 && driver_is(2, "igbvf") && m->device[0].fenced, "a VF whose probe by the host's driver is deferred is handed over again");
	put_off(1 << 30);
	t = apply_rules("vfs 05:00.0=2\nkeep vf1@05:00.0\n");
	ok(t.failed == 1 && m->device[0].fenced && logged("not handed to the host: drivers_probe: cannot write the address: Invalid argument (22)\n"),
	   "and where that never comes to anything, it is told");
	sriov_machine();
	apply_rules("vfs 05:00.0=2\n");
	m->device[2].deferrals = 2;
	m->device[2].says_einval = true;
	ok(run_on(COMMAND_RELEASE, vf, false) == EXIT_HOLDS && driver_is(2, "igbvf"), "the same for one that is released by hand");
}

/* Writes outside the plan's steps. */
static void direct_writes(void)
{
	const struct root root = { .fd = -1, .path = "/" };
	const struct report report = { .root = &root };
	struct device dev[2] = { { .pf = -1 }, { .pf = -1 } };
	struct devices devices = { .dev = dev, .n = 2 };
	struct plan plan = { .devices = &devices };
	struct outcome outcome[2];
	struct steps a = { .plan = &plan, .devices = &devices, .root = &root, .report = &report, .outcome = outcome };
	int first, second;

	machine();
	m->device[0].override_ms = 500;
	m->device[1].override_ms = 600;
	ok(steps_init(&a), "writes can be made outside the steps");
	first = steps_write(&a, "sys/bus/pci/devices/0000:01:00.0/driver_override", "x");
	a.deadline_us = clock_us() + 5000000;
	second = steps_write(&a, "sys/bus/pci/devices/0000:02:00.0/driver_override", "y");
	ok(first == -ETIMEDOUT && second == 0 && override_is(0, "x") && override_is(1, "y"), "the late answer to one does not pass for another's");
	steps_free(&a);
}

/* What is done with a device is done in its order, though its writes end while those of another are waited for. */
static void in_order(void)
{
	char first[] = "01:00.0", second[] = "02:00.0", *words[] = { first, second };
	struct options options = { .command = COMMAND_CLAIM, .root = "/", .loudest = LEVEL_INFO, .word = words, .words = 2 };

	machine();
	model_register("e1000e");
	run_command(&options);
	m->device[0].override_ms = 300;
	m->device[1].unbind_ms = 150;
	options.command = COMMAND_RELEASE;
	ok(driver_is(0, "vfio-pci") && run_command(&options) == EXIT_HOLDS && driver_is(0, "e1000e") && driver_is(1, "e1000e"),
	   "a device whose override takes long to clear is not given to the host before it is taken from vfio-pci");
}

/* udev tells of a device again whose claim has failed; status: that the status file is there. Whether the host's driver keeps it. */
static bool stays_released(const char *action, bool status)
{
	char first[] = "01:00.0";
	unsigned operations;

	machine();
	m->module[0][0] = '\0';
	model_register("e1000e");
	apply_rules("on-failure release\nclaim 01:00.0\n");
	if (!status)
		m->status[0] = '\0';
	operations = m->operations;
	setenv("SEQNUM", "1", 1);
	setenv("ACTION", action, 1);
	run_on(COMMAND_APPLY, first, false);
	unsetenv("SEQNUM");
	unsetenv("ACTION");
	return driver_is(0, "e1000e") && m->operations == operations;
}

static void released(void)
{
	ok(stays_released("add", true), "what was released is not taken from the host's driver again when udev tells of it again");
	ok(stays_released("bind", false), "nor when that driver has bound it, which would have no end, though there is no status file");
}

static void vfs(void)
{
	struct tally t;

	sriov_machine();
	model_register("igbvf");
	t = apply_rules("vfs 05:00.0=3\n");
	ok(t.vfs == 3 && t.claimed == 3 && t.failed == 0 && m->device[0].num_vfs == 3, "VFs are made and claimed");
	ok(!probed("igbvf") && m->device[0].fenced && driver_is(3, "vfio-pci"), "the host's loaded driver never probes them");
	ok(logged("0000:05:00.0 [8086:10c9]: 3 VFs created in "), "it is told how many were made, and in what time");
	ok(strstr(m->status, "0000:05:00.0 8086:10c9 vfs created igb 5 /etc/preclaim.conf:1 ") != NULL, "the status file has the PF");
	unsigned writes = m->writes;
	t = apply_rules("vfs 05:00.0=3\n");
	ok(t.vfs == 3 && t.claimed == 3 && m->writes == writes, "a second run writes nothing");
	sriov_machine();
	m->device[0].vfs_ms = 500;
	apply_rules("vfs 05:00.0=3\n");
	apply_rules("vfs 05:00.0=3\n");
	ok(strstr(m->status, " vfs created igb 5 /etc/preclaim.conf:1 500000\n") != NULL, "after which the status file still has how long the first one took");
	m->device[0].vfs_ms = 300;
	apply_rules("vfs 05:00.0=2\n");
	ok(strstr(m->status, " vfs created igb 5 /etc/preclaim.conf:1 600000\n") != NULL, "and one that does something has its own time");
	m->device[0].driver[0] = '\0';
	apply_rules("vfs 05:00.0=3\n");
	ok(strstr(m->status, " vfs waiting - 5 /etc/preclaim.conf:1 0\n") != NULL, "as has what came to something else");
	sriov_machine();
	t = apply_rules("vfs 05:00.0=max\n");
	ok(t.vfs == 4 && t.claimed == 4 && !probed("igbvf"), "another number is made where no VF is in use");

	sriov_machine();
	t = apply_rules("vfs 05:00.0=9\n");
	ok(t.vfs == 4 && logged("can have 4 VFs, not 9"), "a number above sriov_totalvfs is cut, with a warning");

	sriov_machine();
	t = apply_rules("vfs 05:00.0=4\nkeep vf2-3@05:00.0\n");
	ok(t.claimed == 2 && driver_is(1, "vfio-pci") && driver_is(2, "vfio-pci") && driver_is(3, "igbvf") && driver_is(4, "igbvf"),
	   "kept VFs end with the host's driver");
	ok(!probed("05:10.0 igbvf") && !probed("05:10.2 igbvf") && m->device[0].fenced, "and the claimed ones were never probed by it");

	sriov_machine();
	m->device[0].fence_deaf = 2;
	t = apply_rules("vfs 05:00.0=2\n");
	ok(m->device[0].fenced && t.claimed == 2 && t.failed == 0, "a fence whose write had success and no effect is raised again");
	sriov_machine();
	m->device[0].fence_deaf = 1 << 30;
	t = apply_rules("vfs 05:00.0=2\n");
	ok(t.failed > 0 && t.vfs == 0 && logged("0000:05:00.0: its VFs are not fenced: sriov_drivers_autoprobe: cannot write \"0\": Input/output error (5)") &&
	   m->device[0].num_vfs == 0, "where it never has one, that is told, and no VFs are made");
	sriov_machine();
	apply_rules("vfs 05:00.0=4\nkeep vf2-3@05:00.0\n");
	m->device[3].driver[0] = '\0';
	m->device[0].fence_ms = 1500;
	m->log[0] = '\0';
	apply_rules("timeout 1\nvfs 05:00.0=4\nkeep vf2-3@05:00.0\n");
	ok(m->device[0].fenced && !logged("not fenced"), "one that is up again is not said to be down, though the write that raised it goes on");

	sriov_machine();
	m->device[0].driver[0] = '\0';
	t = apply_rules("vfs 05:00.0=2\n");
	ok(m->device[0].fenced && t.vfs == 0 && t.failed == 0 && logged("2 VFs are made when its driver is there"),
	   "without its driver the PF is fenced, and the VFs are announced");
	strcpy(m->device[0].driver, "igb");
	ok(apply_rules("vfs 05:00.0=2\n").claimed == 2, "and a later run makes them");

	sriov_machine();
	m->device[0].num_vfs = 2;
	m->device[1].gone = m->device[2].gone = false;
	strcpy(m->device[1].driver, "igbvf");
	t = apply_rules("vfs 05:00.0=4\nkeep vf0@05:00.0\n");
	ok(m->device[0].num_vfs == 2 && driver_is(1, "igbvf") && logged("has 2 VFs, not 4, and they are in use: 0000:05:10.0 by igbvf"),
	   "VFs in use are not remade, and their user is named");
	t = apply_rules("vfs 05:00.0=4\n");
	ok(t.failed == 0 && t.vfs == 4 && t.claimed == 4, "VFs that the rules claim from their driver anyway are remade");

	sriov_machine();
	apply_rules("vfs 05:00.0=2\n");
	m->device[2].opens_after = 1;
	t = apply_rules("vfs 05:00.0=4\n");
	ok(m->device[0].num_vfs == 2 && driver_is(2, "vfio-pci") && t.failed == 1 && logged("has 2 VFs, not 4, and they are in use: 0000:05:10.2 by a guest"),
	   "nor are those that a guest has come to use since the run has begun");

	sriov_machine();
	apply_rules("claim vf0@05:00.0\n");
	model_register("igbvf");
	m->device[0].num_vfs = 2;
	m->device[1].gone = m->device[2].gone = false;
	t = apply_rules("claim vf0@05:00.0\n");
	ok(t.claimed == 1 && !probed("05:10.0 igbvf") && driver_is(1, "vfio-pci") && driver_is(2, "igbvf"),
	   "VFs made by another hand are claimed as ruled, the rest handed to the host");

	sriov_machine();
	m->device[0].most_vfs = 1;
	t = apply_rules("vfs 05:00.0=3\n");
	ok(t.failed == 1 && t.claimed == 1 && logged("igb made 1 VFs of 3"), "fewer VFs than asked for are noticed, and claimed");

	sriov_machine();
	m->device[0].vfs_error = ENOMEM;
	ok(apply_rules("vfs 05:00.0=3\n").failed == 1 && logged("pci=realloc"), "too little room is explained");
	sriov_machine();
	m->device[0].vfs_error = ENOENT;
	ok(apply_rules("vfs 05:00.0=3\n").failed == 1 && logged("this driver cannot make VFs"), "a driver without SR-IOV is explained");

	sriov_machine();
	m->device[0].vfs_hang = true;
	m->device[5] = (struct model_device){ .addr = "0000:06:00.0", .modalias = NIC, .group = 6, .native = "e1000e" };
	uint64_t begin = clock_us();
	t = apply_rules("timeout 1\nvfs 05:00.0=3\nclaim 06:00.0\n");
	ok(t.failed == 1 && t.claimed == 1 && driver_is(5, "vfio-pci") && logged("the write has not ended in time") &&
	   clock_us() - begin < 10000000, "a write to sriov_numvfs that hangs does not hold up the boot");
	m->device[6] = (struct model_device){ .addr = "0000:07:00.0", .modalias = NIC, .group = 7, .native = "e1000e" };
	m->conf = "vfs 05:00.0=3\nclaim 07:00.0\n";
	char other[] = "07:00.0", *addresses[] = { other };
	struct options just_that = { .root = "/", .loudest = LEVEL_INFO, .word = addresses, .words = 1 };
	ok(run_command(&just_that) == EXIT_HOLDS && driver_is(6, "vfio-pci"), "while it hangs, a device that comes later is claimed");

	machine();
	m->reads_hang = true;
	begin = clock_us();
	m->conf = "timeout 1\nclaim 01:00.0\n";
	ok(run_command(&(struct options){ .root = "/", .loudest = LEVEL_INFO }) == EXIT_SYSTEM && clock_us() - begin < 10000000 &&
	   logged("something in /sys hangs"), "even a read that hangs does not");
	ok(times("preclaim: done: ", m->log) == 1 && logged("preclaim: done: 0 claimed, 0 VFs, 0 refused, 1 failed"), "what it came to is said once");
	m->reads_hang = false;
	begin = clock_us();
	m->log[0] = '\0';
	ok(run_command(&(struct options){ .root = "/", .loudest = LEVEL_INFO }) == EXIT_HOLDS && driver_is(0, "vfio-pci") && clock_us() - begin < 500000,
	   "a later run does not wait for the one that hangs, which had the lock");
}

/* How long it took, in milliseconds, until a driver was bound to a device. */
static unsigned bound_ms(int device, uint64_t start_us)
{
	return (unsigned)((m->device[device].bound_us - start_us) / 1000);
}

/* Somebody holds a device's lock, and with it what reads its driver_override or sriov_numvfs. */
static void locks(void)
{
	char first[] = "01:00.0";
	uint64_t start;
	struct tally t;

	machine();
	m->device[2].locked = true;
	start = clock_us();
	t = apply_rules("timeout 8\nclaim 01:00.0 03:00.0\n");
	ok(t.claimed == 1 && t.failed == 1 && driver_is(0, "vfio-pci") && bound_ms(0, start) < 1000,
	   "a device whose driver_override cannot be read, as a probe holds it, delays no other");
	ok(logged("<4>preclaim: 0000:03:00.0: driver_override: reading it takes long") &&
	   logged("<3>preclaim: 0000:03:00.0 [144d:a808]: not claimed yet: the write to driver_override has not ended"), "and it is told what hangs");
	ok(clock_us() - start < 10000000, "the run ends in time");
	start = clock_us();
	t = apply_rules("timeout 8\nclaim 02:00.0 03:00.0\n");
	ok(t.claimed == 1 && t.failed == 1 && driver_is(1, "vfio-pci") && bound_ms(1, start) < 1000, "nor does it in a second run");
	machine();
	m->device[1].locked = true;
	start = clock_us();
	t = apply_rules("timeout 8\nclaim 01:00.0\n");
	ok(t.claimed == 1 && t.failed == 0 && bound_ms(0, start) < 1000 && clock_us() - start < 1000000, "nor does one that no rule is about");

	sriov_machine();
	m->device[0].locked = true;
	m->device[5] = (struct model_device){ .addr = "0000:06:00.0", .modalias = NIC, .group = 6, .native = "e1000e" };
	start = clock_us();
	t = apply_rules("timeout 8\nvfs 05:00.0=3\nclaim 06:00.0\n");
	ok(t.claimed == 1 && t.failed == 1 && bound_ms(5, start) < 1000 && m->device[0].fenced && clock_us() - start < 10000000,
	   "a PF whose sriov_numvfs cannot be read is fenced, and delays no other");
	ok(logged("<4>preclaim: 0000:05:00.0: sriov_numvfs: reading it takes long") && logged("0000:05:00.0 [8086:10c9]: sriov_numvfs: "), "and that is told");
	sriov_machine();
	m->device[0].numvfs_ms = 3000;
	t = apply_rules("timeout 8\nvfs 05:00.0=3\n");
	ok(t.claimed == 3 && t.vfs == 3 && t.failed == 0, "one that is read in the end gets its VFs");
	m->device[0].numvfs_ms = 3000;
	m->log[0] = '\0';
	t = apply_rules("timeout 8\nvfs 05:00.0=3\n");
	ok(t.claimed == 3 && t.vfs == 3 && t.failed == 0 && !logged("created"), "and is not said to have got what it had");
	machine();
	apply_rules("claim 01:00.0\n");
	m->device[0].locked = true;
	start = clock_us();
	ok(run_on(COMMAND_RELEASE, first, false) == EXIT_NOT_HELD && logged("not released yet: the write to driver_override has not ended") &&
	   clock_us() - start < 12000000, "a release ends too, and says what hangs");
}

int main(void)
{
	claims();
	locks();
	hangs();
	overlaps();
	names();
	failures();
	vfs();
	in_use();
	behind_the_fence();
	deferred_for_the_host();
	direct_writes();
	by_hand();
	in_order();
	released();
	return finish();
}
