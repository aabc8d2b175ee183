/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef WORK_H
#define WORK_H

#include <sys/types.h>

#include "preclaim.h"
#include "sysfs.h"

enum {
	WORKERS_MAX = 64,	/* writes under way at once */
	VALUE_SIZE = DRIVER_MAX + 8,
};

/* A child that does sysfs writes one after the other, so that one that never returns hangs it and not us. */
struct worker {
	pid_t pid;
	int requests, answers;	/* pipes */
	int32_t task;		/* what it is busy with, as the caller counts; -1: nothing */
};

struct pool {
	const struct root *root;
	struct worker worker[WORKERS_MAX];
	size_t n;
};

struct answer {
	int32_t task;
	int32_t error;		/* 0 or -errno of the write */
	uint32_t us;		/* how long it took */
};

struct pool pool_new(const struct root *root);

/* Let idle workers end; one that hangs is left to itself. */
void pool_close(struct pool *pool);

/* Hand a write to an idle worker, or to a new one. 0, -EBUSY where all are busy, or -errno. */
int pool_write(struct pool *pool, int32_t task, const char *path, const char *value);

/* Whether any write is under way. */
bool pool_busy(const struct pool *pool);

/* Wait for the next write to end. 0, -ETIMEDOUT after that many milliseconds, or -errno. */
int pool_wait(struct pool *pool, unsigned timeout_ms, struct answer *out);

/* A child that runs one function, and the pipe on which it tells the result. */
struct child {
	pid_t pid;
	int result;
};

enum { RESULT_MAX = 64 };

/*
 * Have a child run a function, which fills in size bytes of result (at most
 * RESULT_MAX). 0 or -errno.
 */
int child_start(struct child *out, void (*run)(void *ctx, void *result), void *ctx, size_t size);

/*
 * Wait that many milliseconds for its result, and let go of it: a child that
 * runs on does so by itself. 0, -ETIMEDOUT, or -ECHILD where it died.
 */
int child_end(struct child *child, unsigned timeout_ms, void *result, size_t size);

#endif
