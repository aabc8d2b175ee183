// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes the VFs of one PF by its sriov_numvfs, reads back how many there are,
 * and explains the kernel's errors (sriov_numvfs_store() and sriov_enable() in
 * drivers/pci/iov.c). Claiming the VFs is another plan's business.
 */
#include "vfs.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "describe.h"
#include "scan.h"

/* What to do about an error, or "" */
static const char *remedy(const struct device *d, int error)
{
	switch (error) {
	case -ENOENT:
		if (strcmp(d->driver, "vfio-pci") == 0)
			return "; vfio-pci makes VFs only with its option enable_sriov=1";
		return "; this driver cannot make VFs, pci-pf-stub could";
	case -ENOMEM:
		return "; the firmware left too little address space or too few bus numbers for them: "
		       "try pci=realloc, pci=assign-busses, or \"Above 4G decoding\" and SR-IOV in the firmware";
	default:
		return "";
	}
}

/* Write a number; success is that it can be read back. 0 or -errno; -EAGAIN where another number is there. */
static int set_number(const struct root *root, struct device *d, int32_t number)
{
	char path[PATH_SIZE], value[12];
	struct text t = text_in(value, sizeof(value));
	int r;

	text_add(&t, "%d", number);
	r = sysfs_write(root, device_path(path, d->addr, "sriov_numvfs"), value);
	scan_num_vfs(root, d);
	/* another run may have been quicker, with the same result */
	if (d->num_vfs == number)
		return 0;
	return r < 0 ? r : -EAGAIN;
}

/* No VF may appear in front of a host's driver: without the fence none is made. 0 or -errno. */
static int raise_fence(const struct root *root, struct device *d)
{
	char path[PATH_SIZE];
	int r;

	scan_fence(root, d);
	if (d->fenced)
		return 0;
	r = sysfs_write(root, device_path(path, d->addr, "sriov_drivers_autoprobe"), "0");
	scan_fence(root, d);
	return d->fenced ? 0 : r < 0 ? r : -EIO;
}

/* Whether a VF is in use now that is not to be taken away. */
static bool are_in_use(const struct plan *plan, int32_t pf, const struct root *root)
{
	bool in_use = false;

	for (size_t i = 0; i < plan->devices->n; i++) {
		struct device *vf = &plan->devices->dev[i];

		if (vf->pf != pf)
			continue;
		scan_driver(root, vf);
		scan_in_use(root, vf, true);
		in_use |= plan_vf_stays(plan, i);
	}
	return in_use;
}

enum result vfs_make(const struct plan *plan, int32_t pf, const struct root *root, const struct report *report, unsigned *vfs,
		     uint64_t *us)
{
	struct device d = plan->devices->dev[pf];
	int32_t wanted = plan->verdict[pf].vfs;
	uint64_t start = clock_us();
	char line[RECORD_MAX];
	struct text t = text_in(line, sizeof(line));
	int r = plan->verdict[pf].fence && wanted > 0 ? raise_fence(root, &d) : 0;

	/* unlike a survey this may wait for others who make its VFs */
	if (d.num_vfs < 0)
		scan_num_vfs(root, &d);
	*vfs = (unsigned)d.num_vfs;
	*us = 0;
	if (d.num_vfs == wanted)
		return RESULT_CREATED;
	describe_device(plan, pf, &t);
	/* the survey's answer may be as old as the time limit */
	plan->devices->dev[pf].num_vfs = d.num_vfs;
	if (d.num_vfs > 0 && are_in_use(plan, pf, root)) {
		t = text_in(line, sizeof(line));
		describe_note(plan, &(struct note){ NOTE_VFS_IN_USE, LEVEL_ERR, pf, plan->verdict[pf].vfs_rule, plan->verdict[pf].vfs_selector }, &t);
		report_say(report, LEVEL_ERR, "%s", line);
		return RESULT_FAILED;
	}
	if (r < 0) {
		*vfs = (unsigned)d.num_vfs;
		*us = clock_us() - start;
		report_say(report, LEVEL_ERR, "%s: sriov_drivers_autoprobe: cannot write \"0\": %s (%d); no VFs without this fence", line,
			   text_error(-r), -r);
		return RESULT_FAILED;
	}
	scan_driver(root, &d);
	if (d.num_vfs > 0 && wanted > 0)
		r = set_number(root, &d, 0);
	if (r == 0)
		r = set_number(root, &d, wanted);
	*us = clock_us() - start;
	*vfs = (unsigned)d.num_vfs;
	if (r == 0) {
		report_say(report, LEVEL_INFO, "%s: %d VFs created in %u ms", line, wanted, (unsigned)(*us / 1000));
		return RESULT_CREATED;
	}
	if (!d.driver[0]) {
		report_say(report, LEVEL_ERR, "%s: sriov_numvfs: no VFs without a driver on the PF", line);
		return RESULT_FAILED;
	}
	if (r == -EAGAIN)
		report_say(report, LEVEL_ERR, "%s: sriov_numvfs: %s made %d VFs of %d; the kernel's log may say why", line, d.driver,
			   d.num_vfs, wanted);
	else
		report_say(report, LEVEL_ERR, "%s: sriov_numvfs: cannot write \"%d\": %s (%d)%s", line, wanted, text_error(-r), -r,
			   remedy(&d, r));
	return RESULT_FAILED;
}
