/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef APPLY_H
#define APPLY_H

#include "plan.h"
#include "report.h"
#include "sysfs.h"

struct tally {
	unsigned claimed, vfs, refused, failed;
	bool broken;	/* there was no memory to do anything */
};

/*
 * Carry out the plan: every step but those that make VFs (see vfs.h), each
 * read back, until deadline_us of clock_us(). One message a device, and what became of it in outcome (one a
 * device). The plan's drivers take the spelling under which they turn out to
 * be registered, and its devices the drivers that hold them in the end.
 */
struct tally apply_plan(struct plan *plan, struct devices *devices, const struct root *root, const struct report *report,
			uint64_t deadline_us, struct outcome *outcome);

#endif
