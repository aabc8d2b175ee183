/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel small enough to reason about, in the place of src/sysfs.c: PCI
 * devices, drivers, driver_override, drivers_probe and sriov_numvfs as
 * drivers/pci/pci-driver.c, drivers/pci/iov.c and drivers/base/dd.c have them;
 * and modprobe, whenever a program is executed. Its machine is made by hand or
 * from a manifest. It lives in shared memory, since preclaim writes from child
 * processes. Any operation can be made to fail, to hang, to take its time, or
 * to have the world change before it.
 *
 * Time is the model's as well: nothing takes any, but what waits with poll(2).
 * When all processes of a run are asleep, it becomes what the first of them
 * waits for. How quick the computer is, and what else it does, makes no difference.
 */
#ifndef MODEL_H
#define MODEL_H

#include <sys/types.h>

#include "../../src/preclaim.h"

enum { MODEL_DEVICES = 96, MODEL_DRIVERS = 24, MODEL_VFS = 6, MODEL_PROCESSES = 160, MODEL_LOG = 65536 };

struct model_device {
	const char *addr;
	const char *modalias;
	int group;			/* -1: none */
	int groupless;			/* so many looks for its group before that is there */
	const char *native;		/* the driver whose id table has it */
	char driver[DRIVER_MAX];
	char override[DRIVER_MAX];
	bool refuses;			/* every probe fails */
	int deferrals;			/* so many probes are deferred first */
	bool says_einval;		/* which a write to drivers_probe then answers with EINVAL, as newer kernels do */
	bool hangs;			/* unbind and probe never end */
	int override_ms, unbind_ms;	/* how long these writes take */
	int probe_ms;			/* how long the next write to drivers_probe takes until it comes to the device */
	int fence_deaf;			/* so many writes to sriov_drivers_autoprobe have success and no effect */
	int fence_ms;			/* how long a write to sriov_drivers_autoprobe goes on after it has had its effect */
	int registering;		/* so many looks at its driver before that can be unbound from it */
	bool late;			/* its native driver is just about to have it when the override is written */
	bool open;			/* a guest has its VFIO group open */
	int opens_after;		/* it will, after so many looks */
	bool gone;
	bool vanishes;			/* when it is probed */
	int total_vfs, num_vfs;		/* a PF; its VFs are gone until they are made */
	int most_vfs;			/* its driver makes no more than these, 0: as many as asked */
	int vfs_error;			/* errno of every write to sriov_numvfs */
	bool vfs_hang;			/* a write to sriov_numvfs never ends, and holds the device's lock */
	bool locked;			/* somebody holds that for good, and hangs all that takes it (device_lock()) */
	int vfs_ms;			/* how long a write to sriov_numvfs takes */
	int numvfs_ms;			/* how long the next read of sriov_numvfs takes */
	uint64_t bound_us;		/* when its driver was bound */
	bool fenced;			/* sriov_drivers_autoprobe is 0 */
	int vf_of;			/* a VF: the number of its PF, and its own number from 1 */
	int vf;
};

/* What can be asked of the model, and of the C library where that can fail. */
enum verb {
	VERB_LIST, VERB_READ, VERB_READ_ALL, VERB_LINK, VERB_EXISTS, VERB_MAY_WRITE, VERB_TRY, VERB_WRITE, VERB_APPEND,
	VERB_REPLACE, VERB_LOCK, VERB_MODPROBE, VERB_MALLOC, VERB_FORK, VERB_PIPE, VERB_ENTER, VERBS,
};

/* What happens at an operation. */
enum effect {
	EFFECT_FAIL,		/* it fails */
	EFFECT_FAIL_ON,		/* and so does every later one like it */
	EFFECT_SHORT,		/* a write, or a list, gets no further than its half; modprobe fails */
	EFFECT_HANG,		/* it never ends */
	EFFECT_SLOW,		/* it takes its time, and then is made */
	EFFECT_KILL,		/* SIGKILL, for all processes of the run */
	EFFECT_VANISH,		/* before it, a device is pulled out */
	EFFECT_VFS,		/* before it, someone makes VFs of a device */
	EFFECT_DRIVERS,		/* before it, the host's drivers are loaded */
};

struct trouble {
	unsigned at;		/* the operation, counted from 1 among those of the verbs; 0: none */
	unsigned verbs;		/* a bit for each */
	enum effect effect;
	int number;		/* errno of EFFECT_FAIL, milliseconds of EFFECT_SLOW */
	int dev;		/* that vanishes, or has VFs made */
};

/* The operation that a fault has hit. */
struct struck {
	bool is;
	enum verb verb;
	char path[PATH_SIZE], value[DRIVER_MAX];
};

/* A process of a run. */
struct process {
	int pid;		/* 0: none, -1: one is being entered */
	uint64_t deadline_us;	/* until when it waits, 0 where it doesn't */
};

struct model {
	struct model_device device[MODEL_DEVICES];
	char driver[MODEL_DRIVERS][DRIVER_MAX];	/* registered */
	char module[MODEL_DRIVERS][DRIVER_MAX];	/* can be loaded */
	char probes[MODEL_LOG];		/* "ADDRESS DRIVER" of every probe, a line each */
	bool reads_hang;		/* modalias attributes cannot be read any more */
	const char *conf;		/* /etc/preclaim.conf */
	const char *facts;		/* /etc/preclaim.image, or NULL */
	int run_error;			/* errno of all that is written below /run */
	bool modprobe_hangs;
	enum { GROUPS, GROUPS_NOIOMMU, GROUPS_NONE } groups;	/* what /dev/vfio has: N, noiommu-N, or only devices/vfioN, which are files of the tree */
	int group_error;		/* errno of opening any of them */
	int together;			/* a driver lets go of a device only as it is asked for so many */
	int asked;			/* that it has been asked for so far */
	bool runs;			/* only then are operations counted */
	unsigned operations;		/* of the fault's verbs, so far */
	unsigned writes;		/* to attributes, so far */
	struct trouble trouble;
	struct struck struck;
	int owner;			/* the process of the test: what hangs ends with it */
	int busy;			/* a lock: one write after the other */
	uint64_t now_us;		/* what time it is */
	struct process process[MODEL_PROCESSES];
	char log[MODEL_LOG];		/* /dev/kmsg */
	char status[MODEL_LOG];		/* /run/preclaim/status */
};

/* The one machine of a process, empty after every call. */
struct model *model_new(void);

/* A machine from a manifest (see tests/mktree), whose drivers are those that hold its devices there. */
struct model *model_load(const char *file);

/* SIGKILL for a group of processes, 0 for one's own; in the middle of a write it would not come on a real machine either. */
void model_kill(pid_t group);

/* Register a driver, which then binds what is free and its own, as a module does when it is loaded. */
void model_register(const char *driver);

/* Load the drivers that the host has for the devices, as udev does. */
void model_register_hosts(void);

/* Number of the device at an address, -1 where none ever is. */
int model_find(const char *addr);

/* How many processes a run has left behind that have not ended. */
int model_processes(void);

/* "write" and so on */
extern const char *const verb_name[VERBS];

/* fork(2) that never fails for the sake of a test. */
int model_fork(void);

#endif
