/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VFS_H
#define VFS_H

#include "plan.h"
#include "report.h"
#include "sysfs.h"

/*
 * Give a PF the number of VFs that the plan says, and tell it. This may take
 * as long as the PF's driver likes. What became of it; *vfs is how many there
 * are then, *us the time of the writes.
 */
enum result vfs_make(const struct plan *plan, int32_t pf, const struct root *root, const struct report *report, unsigned *vfs,
		     uint64_t *us);

#endif
