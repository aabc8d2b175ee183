// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells udev's rules what they need to know of a device, as files that are
 * there or not.
 */
#include "mark.h"

enum { MARK_SIZE = 128 };

static bool is_claimed(const struct device *d, const struct outcome *outcome)
{
	return outcome->result == RESULT_CLAIMED && d->driver[0];
}

void mark_claimed(const struct root *root, const struct plan *plan, const struct outcome *outcome)
{
	struct root run, dir;
	bool any = false;

	for (size_t i = 0; i < plan->devices->n; i++)
		any |= is_claimed(&plan->devices->dev[i], &outcome[i]);
	if (!any || sysfs_make(root, "run/preclaim", &run) < 0)
		return;
	if (sysfs_make(&run, "claimed", &dir) == 0) {
		for (size_t i = 0; i < plan->devices->n; i++) {
			const struct device *d = &plan->devices->dev[i];
			char name[MARK_SIZE], addr[ADDR_MAX];
			struct text t = text_in(name, sizeof(name));

			if (!is_claimed(d, &outcome[i]))
				continue;
			text_add(&t, "%s-%s", text_addr(addr, d->addr), d->driver);
			sysfs_touch(&dir, name);
		}
		sysfs_leave(&dir);
	}
	sysfs_leave(&run);
}

/*
 * Whether no rule is about a device, nor will be when more has come: PFs and
 * VFs are of interest to each other, and one without an IOMMU group may get it
 * and be what a rule means by that.
 */
static bool is_settled(const struct plan *plan, size_t i)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];

	if (d->error || d->pf >= 0 || v->fence || v->vfs_selector >= 0 || (d->group < 0 && plan->rules->n > 0))
		return false;
	return v->action == ACTION_NONE || v->action == ACTION_KEEP;
}

void mark_settled(const struct root *root, const struct plan *plan)
{
	struct root dir;

	if (sysfs_make(root, "etc/preclaim.settled", &dir) < 0)
		return;
	for (size_t i = 0; i < plan->devices->n; i++) {
		const struct device *d = &plan->devices->dev[i];
		char name[MARK_SIZE], addr[ADDR_MAX];
		struct text t = text_in(name, sizeof(name));

		if (!is_settled(plan, i))
			continue;
		/* modalias_show() in drivers/pci/pci-sysfs.c */
		text_add(&t, "%s-pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02x", text_addr(addr, d->addr), d->ids.vendor, d->ids.device,
			 d->ids.subvendor, d->ids.subdevice, d->ids.class >> 16, d->ids.class >> 8 & 0xff, d->ids.class & 0xff);
		sysfs_touch(&dir, name);
	}
	sysfs_leave(&dir);
}

void mark_idle(const struct root *root)
{
	struct root dir;

	if (sysfs_exists(root, "init") && sysfs_make(root, "etc/preclaim.settled", &dir) == 0) {
		sysfs_touch(&dir, "all");
		sysfs_leave(&dir);
	}
}
