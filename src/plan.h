/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLAN_H
#define PLAN_H

#include "match.h"
#include "text.h"

enum action { ACTION_NONE, ACTION_CLAIM, ACTION_KEEP, ACTION_REFUSE };

/* What is to become of a device, and by which rule and selector (-1: none). */
struct verdict {
	enum action action;
	int32_t rule, selector;
	bool refused_by_group;
	bool fence;		/* a PF: no driver may be probed on VFs that have no override yet */
	int32_t vfs;		/* a PF: how many VFs it is to have, -1 where no rule says */
	int32_t vfs_rule, vfs_selector;
	bool vfs_stay;		/* a PF: it has VFs in use that no claim takes away */
	char driver[DRIVER_MAX];	/* of a claim, in sysfs' spelling where the driver is registered */
};

/* One thing to do. The plan is a list of these, and nothing else is ever written to the kernel. */
enum operation {
	STEP_FENCE,	/* sriov_drivers_autoprobe = 0 */
	STEP_OVERRIDE,	/* driver_override = the verdict's driver */
	STEP_UNBIND,	/* take the device from the driver that holds it */
	STEP_MODULE,	/* have modprobe load the driver; for the first device that needs it */
	STEP_PROBE,	/* drivers_probe; expected: the device's driver link names the driver */
	STEP_NUMVFS,	/* sriov_numvfs = count */
	STEP_CLEAR,	/* driver_override = none */
	STEP_HAND,	/* have the host's driver bind a device: a VF behind the fence that no rule claims, or one released */
};

struct step {
	enum operation operation;
	int32_t dev;
	uint32_t count;	/* of VFs */
};

/* Something to tell that is no step: a rule without a device, a refusal, a group that is not viable. */
enum note_kind {
	NOTE_NO_DEVICE,
	NOTE_ONLY_BRIDGES,
	NOTE_ONLY_VFS,
	NOTE_LEFT_VFS,
	NOTE_MISMATCH,
	NOTE_MOVED,
	NOTE_BRIDGE,
	NOTE_BRIDGE_REFUSED,
	NOTE_PROTECTED,
	NOTE_UNKNOWN,
	NOTE_UNPROTECTED,
	NOTE_DISPLAY,
	NOTE_GUEST,
	NOTE_GROUP_SHARED,
	NOTE_GROUP_REFUSED,
	NOTE_GROUP_BLOCKED,
	NOTE_KEPT,
	NOTE_NO_GROUP,
	NOTE_NO_VF,
	NOTE_NO_SRIOV,
	NOTE_NONE_SRIOV,
	NOTE_VFS_CUT,
	NOTE_VFS_IN_USE,
	NOTE_VFS_WAIT,
	NOTE_NO_IOMMU,
};

struct note {
	enum note_kind kind;
	enum level level;
	int32_t dev, rule, selector;
};

/* A device and its IOMMU group. */
struct member {
	int32_t group, dev;
};

struct plan {
	const struct rules *rules;
	const struct devices *devices;
	const bool *only;		/* one a device, or NULL for all */
	struct verdict *verdict;	/* one a device */
	struct member *by_group;	/* all devices, those of an IOMMU group side by side */
	struct step *step;
	size_t steps;
	struct note *note;
	size_t notes;
};

/*
 * Turn what the rules choose into verdicts, the ordered steps that are needed
 * now, and notes. only: one flag a device that asks for its steps and notes,
 * or NULL for all devices and the notes on rules. The plan keeps pointing to
 * rules, devices and only. 0 or -ENOMEM; give the plan to plan_free().
 */
int plan_build(struct plan *out, const struct rules *rules, const struct devices *devices, const struct match *match,
	       const struct drivers *drivers, const bool *only);
void plan_free(struct plan *plan);

/*
 * The spelling under which a driver is registered ('-' and '_' are the same),
 * or NULL where it isn't.
 */
const char *driver_registered(const struct drivers *drivers, struct str name);

/*
 * Whether a driver hands the device to VFIO: vfio-pci and its variants; whether
 * it only holds devices for guests, as these and pci-stub do; and whether it is
 * "none".
 */
bool driver_is_vfio(const char *name);
bool driver_is_for_guests(const char *name);
bool driver_is_none(const char *name);

/* Whether a device's steps and notes are in the plan; not those of a VF that is about to be made anew. */
bool plan_wants(const struct plan *plan, size_t dev);

/*
 * Whether a device keeps its IOMMU group from being viable: not claimed, no
 * bridge, and held by a host driver or free for one to take
 * (vfio_dev_viable() in the kernel's drivers/vfio).
 */
bool plan_conflicts(const struct plan *plan, int32_t dev);

/* Whether the machine needs a device. */
bool plan_needs(const struct plan *plan, int32_t dev);

/* Whether a device is a PF with claimed VFs in its own IOMMU group: it keeps that from being viable for good. */
bool plan_has_vfs_beside(const struct plan *plan, int32_t dev);

/* Whether a device that conflicts is not to be had: the machine needs it, or a rule keeps it, or it is refused. */
bool plan_blocks(const struct plan *plan, int32_t dev);

/*
 * Whether a VF is in use and stays so: by a guest, or by a host driver that no
 * claim takes it from. As long as it does, its PF can have no other number of VFs.
 */
bool plan_vf_stays(const struct plan *plan, size_t vf);

/*
 * The class that a device is of, where it is not known what the machine needs
 * of that; else UNKNOWN_KINDS. Nothing that is there hangs on VFs, which are
 * made anew at each boot.
 */
enum unknown plan_unknown(const struct devices *devices, const struct device *d);

/* Whether the number of a PF's VFs is to be changed, and can be: it has a driver, and no VF stays in use. */
bool plan_changes_vfs(const struct plan *plan, size_t pf);

/* Whether all that the rules declare can hold: no refusal, no rule without a device, no missing IOMMU. */
bool plan_holds(const struct plan *plan);

#endif
