/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel small enough to reason about, in the place of src/sysfs.c and
 * src/module.c: PCI devices, drivers, driver_override and drivers_probe as
 * drivers/pci/pci-driver.c and drivers/base/dd.c have them. It lives in shared
 * memory, since preclaim writes from child processes. Any operation on it can
 * be made to fail or to hang.
 */
#ifndef MODEL_H
#define MODEL_H

#include "../../src/preclaim.h"

enum { MODEL_DEVICES = 16, MODEL_DRIVERS = 8, MODEL_LOG = 65536 };

struct model_device {
	const char *addr;
	const char *modalias;
	int group;			/* -1: none */
	const char *native;		/* the driver whose id table has it */
	char driver[DRIVER_MAX];
	char override[DRIVER_MAX];
	bool refuses;			/* every probe fails */
	int deferrals;			/* so many probes are deferred first */
	bool hangs;			/* unbind and probe never end */
	int registering;		/* so many looks at its driver before that can be unbound from it */
	bool late;			/* its native driver is just about to have it when the override is written */
	bool open;			/* a guest has its VFIO group open */
	bool gone;
	bool vanishes;			/* when it is probed */
	int total_vfs, num_vfs;		/* a PF; its VFs are the devices after it, gone until they are made */
	int most_vfs;			/* its driver makes no more than these, 0: as many as asked */
	int vfs_error;			/* errno of every write to sriov_numvfs */
	bool vfs_hang;			/* a write to sriov_numvfs never ends, and holds the lock that a read of it takes */
	bool locked;
	bool fenced;			/* sriov_drivers_autoprobe is 0 */
	int vf_of;			/* a VF: the number of its PF, and its own number from 1 */
	int vf;
};

struct model {
	struct model_device device[MODEL_DEVICES];
	char driver[MODEL_DRIVERS][DRIVER_MAX];	/* registered */
	char module[MODEL_DRIVERS][DRIVER_MAX];	/* can be loaded */
	char probes[MODEL_LOG];		/* "ADDRESS DRIVER" of every probe, a line each */
	bool reads_hang;		/* modalias attributes cannot be read any more */
	const char *conf;		/* /etc/preclaim.conf */
	int operations;			/* writes so far */
	int fail_at;			/* this write fails, counted from 1 */
	int fail_error;			/* with this errno, or 0: it hangs */
	bool modprobe_hangs;
	char log[MODEL_LOG];		/* /dev/kmsg */
	char status[MODEL_LOG];		/* /run/preclaim/status */
};

/* The one machine of a test, empty after every call. */
struct model *model_new(void);

/* Register a driver, which then binds what is free and its own, as a module does when it is loaded. */
void model_register(const char *driver);

#endif
