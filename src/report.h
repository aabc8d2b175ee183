/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef REPORT_H
#define REPORT_H

#include "plan.h"
#include "sysfs.h"

/* Where messages go, and which. */
struct report {
	const struct root *root;
	bool from_udev;		/* one of many runs, each for a device that most likely no rule is about */
	bool again;		/* what went wrong for this device has been told by an earlier run */
	bool to_kmsg;		/* else to standard error */
	bool *said;		/* set where anything was told; NULL: nobody asks */
	enum level loudest;	/* nothing less severe than this is told */
	int console_level;	/* what the kernel's console hides is not below this */
};

/*
 * What applies rules by itself tells it to the kernel's log: in an initramfs
 * (a root with an /init), from udev, and as the service (by_itself).
 */
struct report report_new(const struct root *root, enum level loudest, bool applies, bool from_udev, bool by_itself);

/* Tell one line, as plain text whatever is in it: a record of the kernel's log, or a line of standard error. */
void report_say(const struct report *report, enum level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tell of an error -errno and what it was met in. */
void report_error(const struct report *report, const char *what, int error);

enum result {
	RESULT_NONE,
	RESULT_CLAIMED,
	RESULT_KEPT,
	RESULT_REFUSED,
	RESULT_FAILED,
	RESULT_RELEASED,
	RESULT_UNFINISHED,
	RESULT_CREATED,		/* a PF has its VFs */
	RESULT_WAITING,		/* a PF waits for its driver */
};

/* What became of one device in this run. */
struct outcome {
	enum result result;
	uint64_t us;	/* spent in writes to the kernel for it */
};

/* What an earlier run has told of a device: nothing, something, that what the rules want could not be done, or that it was released then. */
enum told { TOLD_NOTHING, TOLD, TOLD_FAILURE, TOLD_RELEASED };
enum told report_told(const struct root *root, const struct device *d);

/*
 * Bring /run/preclaim/status up to date: a line for each device with an
 * outcome, before them those of earlier runs for other devices. An outcome
 * without a time has that of an earlier line which says the same. The caller
 * holds the run's lock. 0 or -errno.
 */
int report_status(const struct root *root, const struct plan *plan, struct outcome *outcome);

#endif
