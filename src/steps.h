/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STEPS_H
#define STEPS_H

#include "plan.h"
#include "report.h"
#include "scan.h"
#include "sysfs.h"
#include "work.h"

enum { MODALIAS_MAX = 128 };

/* How far a device is. */
struct progress {
	bool touched;		/* the plan has a step for it */
	bool busy;		/* a write for it is under way */
	bool unfinished;	/* in the end, not all of its steps have been done */
	unsigned round;		/* of run_steps(), in which one of its steps could not be done yet: nor can those after it */
	bool failed;
	bool released;		/* its claim has failed, and it goes back to the host */
	enum operation operation;	/* what failed, or is under way */
	int error;		/* of that, or of a probe that may come to something nevertheless */
	unsigned tries;		/* how often a driver was taken off it, or asked for once more */
	char taken_from[DRIVER_MAX];
};

/* The steps of a plan, being done. */
struct steps {
	struct plan *plan;
	struct devices *devices;
	const struct root *root;
	const struct report *report;
	uint64_t deadline_us;
	struct outcome *outcome;	/* one a device, for the time that its writes take */
	struct drivers drivers;		/* registered now, */
	bool unlisted;			/* or it is not known which */
	struct progress *state;		/* one a device */
	bool *done;			/* one a step */
	bool waits;			/* for a driver that has a device and is being registered, or for a read */
	struct answer direct;		/* to a steps_write(), */
	int32_t last_direct;		/* each of which has a number of its own, from -1 down */
	char modalias[MODALIAS_MAX];	/* the last that modprobe was asked for */
	unsigned unfenced;		/* PFs whose fence could not be raised */
	struct pool pool, reads;	/* of writes, and of the reads that may hang; last, as the code for what is far is longer */
};

/* Given what stands before the pool, make the rest. False without memory; steps_free() in any case. */
bool steps_init(struct steps *a);
void steps_free(struct steps *a);

/* Do all steps but those that make VFs (see vfs.h), until deadline_us of clock_us(). */
void steps_do(struct steps *a);

/* A write outside the plan's steps. It waits for all that are under way. 0 or -errno. */
int steps_write(struct steps *a, const char *path, const char *value);

/* A device's override as it is now; see scan_asked(), but that this waits as long as there is time left. */
const char *steps_override(struct steps *a, int32_t dev);

/*
 * Have the host's driver bind a device that has no override any more. Behind
 * the fence its module is loaded too, and the fence is down only meanwhile.
 * The driver's link tells what came of it. 0; -EAGAIN where a claimed VF beside
 * it would not be safe; or -errno.
 */
int steps_hand(struct steps *a, int32_t dev);

/* Raise a PF's fence that is down, by its sriov_drivers_autoprobe, or say that it is. */
void steps_raise_fence(struct steps *a, const struct device *pf, const char *path);

/* Note that an operation on a device failed with -errno. */
void steps_fail(struct steps *a, int32_t dev, enum operation operation, int error);

/* Whether the driver that the plan wants for a device has it, as last read. */
bool steps_bound(const struct steps *a, int32_t dev);

#endif
