/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHOW_H
#define SHOW_H

#include "plan.h"
#include "sysfs.h"

/*
 * Tables on standard output, a line of headings first: in aligned columns on a
 * terminal, else with one tab between columns and "-" where there is nothing.
 * Their devices must have been read with all details.
 */

/* Every device, by IOMMU group. 0 or -ENOMEM. */
int show_devices(const struct plan *plan, const struct root *root);

/* What the rules want of each device, what became of it (run/preclaim/status), and what holds now. 0 or -ENOMEM. */
int show_status(const struct plan *plan, const struct root *root);

/* Whether all that the rules want holds now. */
bool show_holds(const struct plan *plan);

/* One line on what passthrough needs of the machine: IOMMU, interrupt remapping, vfio-pci; and the command line. 0 or -ENOMEM. */
int show_platform(const struct plan *plan, const struct drivers *drivers, const struct root *root);

/*
 * All of that as one JSON document, for scripts: its form is in preclaim(8)
 * under JSON, and has a version. all: also devices that no rule is about. 0 or -ENOMEM.
 */
int show_json(const struct plan *plan, const struct drivers *drivers, const struct root *root, bool all);

#endif
