/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef WORK_H
#define WORK_H

#include <sys/types.h>

#include "preclaim.h"
#include "sysfs.h"

enum {
	WORKERS_MAX = 64,	/* so many writes can be under way, those that hang among them */
	QUEUE_MAX = 256,	/* writes handed over together */
	VALUE_SIZE = DRIVER_MAX + 8,
};

/* A child that works the queue off, so that what never returns hangs it and not us. */
struct worker {
	pid_t pid;
	int wake, ended;	/* pipes: to it that there is something to do, from it that nothing is left */
	bool awake;
	bool stuck;		/* at a write that takes long: others do the rest */
};

struct pool {
	const struct root *root;
	struct request *queue;	/* shared with the children */
	size_t next;		/* where the queue goes on */
	size_t tasks;		/* without an answer yet */
	int32_t next_task;	/* of reads that are asked for together: see scan_asked() */
	pid_t owner;		/* of a pool for reads, the process whose workers these are */
	size_t n;		/* of workers */
	struct worker worker[WORKERS_MAX];
};

struct answer {
	int32_t task;
	int32_t error;		/* 0 or -errno of the write or read */
	uint32_t us;		/* how long it took */
	char value[VALUE_SIZE];	/* the first line of what was read, as far as it fits */
};

/* Let idle workers end; one that hangs is left to itself. A pool begins with nothing but its root, and so does this end it. */
void pool_close(struct pool *pool);

/*
 * Put a write at the end of the queue. They are begun in its order while
 * pool_wait() waits, and may overlap where they take long. 0, -EBUSY where there is no room in it, or -errno.
 */
int pool_write(struct pool *pool, int32_t task, const char *path, const char *value);

/*
 * The same for a read. A pool has either writes or reads. 0, -EALREADY where
 * one of that path has not ended yet, or as above.
 */
int pool_read(struct pool *pool, int32_t task, const char *path);

/* Whether any write has not ended. */
bool pool_busy(const struct pool *pool);

/* Wait for the next write to end. 0, -ETIMEDOUT after that many milliseconds, or -errno. */
int pool_wait(struct pool *pool, unsigned timeout_ms, struct answer *out);

/* Whether waiting is for writes that have not yet taken long: what pool_overtake() has not been told of. */
bool pool_flows(const struct pool *pool);

/* Let what is queued overtake the writes that are under way. */
void pool_overtake(struct pool *pool);

/* Take a write back that has not been begun. False where there is none. */
bool pool_cancel(struct pool *pool, int32_t *task);

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

/* Wait for any of n children to have its result: which one, or -ETIMEDOUT. Those whose result is -1 are passed over. */
int child_any(const struct child *child, size_t n, unsigned timeout_ms);

#endif
