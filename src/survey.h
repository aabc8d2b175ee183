/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SURVEY_H
#define SURVEY_H

#include "config.h"
#include "match.h"
#include "plan.h"
#include "report.h"
#include "scan.h"
#include "sysfs.h"

/* What a run is about, and the machine as it was seen for it. */
struct survey {
	const struct root *root;
	const struct report *report;
	const struct config *config;
	bool by_hand;		/* it is for claim or release: what uses the devices matters */
	bool looks;		/* it is to show what there is: of each device all is read, but no VFIO group is opened */
	bool warns;		/* what protects devices and cannot be followed is to be told; it is told once */
	struct addr *asked;	/* the devices that the run is about; none: all */
	size_t n_asked;
	bool only_vfs;		/* it is about their VFs, not themselves */

	struct devices devices;
	struct drivers drivers;
	struct match match;
	struct plan plan;
	bool *only;		/* a flag for each device that the run is about; NULL: all */
	bool missing;		/* an address asked for is not there */
	bool incomplete;	/* not all of the devices could be read */
	struct pool reads;	/* those that may hang; it outlives survey_drop(), so that what hangs is asked for once */
};

/*
 * From the machine as it is now to the plan; once more where VFs have appeared
 * meanwhile. 0 or -errno after telling why not; survey_drop() in either case,
 * and in the end pool_close() for reads.
 */
int survey_make(struct survey *s);
void survey_drop(struct survey *s);

#endif
