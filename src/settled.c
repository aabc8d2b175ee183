// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells udev's rules for which devices no run is needed. When udevd starts it
 * has the kernel announce all that is there; without these marks it would
 * start the program for each.
 */
#include "settled.h"

static const char settled_dir[] = "etc/preclaim.settled";

/*
 * Whether nothing that may still come changes what is to become of a device:
 * PFs and VFs are of interest to each other, and a device without an IOMMU
 * group may get one and be what a rule means by it.
 */
static bool is_settled(const struct plan *plan, size_t i, const struct outcome *outcome)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];

	if (d->error || d->pf >= 0 || v->fence || v->vfs_selector >= 0 || (d->group < 0 && plan->rules->n > 0))
		return false;
	if (v->action == ACTION_CLAIM)
		return outcome->result == RESULT_CLAIMED && d->driver[0];
	return v->action != ACTION_REFUSE;
}

void settled_mark(const struct root *root, const struct plan *plan, const struct outcome *outcome)
{
	struct root dir;

	if (sysfs_make(root, settled_dir, &dir) < 0)
		return;
	for (size_t i = 0; i < plan->devices->n; i++) {
		const struct device *d = &plan->devices->dev[i];
		char name[128], addr[ADDR_MAX];
		struct text t = text_in(name, sizeof(name));

		if (!is_settled(plan, i, &outcome[i]))
			continue;
		text_add(&t, "%s-", text_addr(addr, d->addr));
		if (plan->verdict[i].action == ACTION_CLAIM)
			text_add(&t, "%s", d->driver);
		else
			/* modalias_show() in drivers/pci/pci-sysfs.c */
			text_add(&t, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02x", d->ids.vendor, d->ids.device, d->ids.subvendor,
				 d->ids.subdevice, d->ids.class >> 16, d->ids.class >> 8 & 0xff, d->ids.class & 0xff);
		sysfs_touch(&dir, name);
	}
	sysfs_leave(&dir);
}
