// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes that may block, and reads that wait for them. A driver's probe, remove
 * or sriov_configure runs inside the write(2) that asks for it, and may take
 * seconds or never end; so they are made by a child, and when that takes long
 * another goes on. The
 * queue is in memory that all share, and a child says only that it has come to
 * its end: to say so of each write would cost more than most of them do.
 */
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

enum {
	FDS = 2 * WORKERS_MAX + 32,	/* more than we ever have open */
	HELP_MS = 5,			/* how long the queue may stand still for each who is at it: most writes take less than one */
};

enum { SLOT_FREE, SLOT_QUEUED, SLOT_ENDED };

/* A write or a read in the queue. */
struct request {
	int state;		/* SLOT_*, or the negative PID of the child that is at it */
	bool reads;
	int32_t task;		/* what it is for, as the caller counts */
	int32_t error;
	uint32_t us;
	char path[PATH_SIZE];
	char value[VALUE_SIZE];
};

static int state_of(const struct request *q)
{
	return __atomic_load_n(&q->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct request *q, int state)
{
	__atomic_store_n(&q->state, state, __ATOMIC_RELEASE);
}

/* Take a queued write for oneself. False where another was quicker. */
static bool take(struct request *q, int state)
{
	int queued = SLOT_QUEUED;

	return __atomic_compare_exchange_n(&q->state, &queued, state, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static struct request *find_state(const struct pool *pool, int state)
{
	for (struct request *q = pool->queue; pool->tasks > 0 && q < pool->queue + QUEUE_MAX; q++)
		if (state_of(q) == state)
			return q;
	return NULL;
}

/* Read the first line of an attribute, as far as it fits. 0 or -errno. */
static int read_value(const struct root *root, const char *path, char value[VALUE_SIZE])
{
	char page[4096 + 1];
	int r = sysfs_read(root, path, page, sizeof(page));

	value[0] = '\0';
	if (r < 0)
		return r;
	page[VALUE_SIZE - 1] = '\0';
	page[str_find(str_of(page), '\n')] = '\0';
	strcpy(value, page);
	return 0;
}

/* The child: until the pipe is closed. Whoever waits for our output must not wait for a write that hangs. */
static _Noreturn void work(const struct pool *pool, int wake, int ended)
{
	int self = -(int)getpid();
	char byte;

	/* an answer to a run that has ended must not kill the worker before its other writes */
	signal(SIGPIPE, SIG_IGN);
	/* nor may the pipes of the others stay open when the parent closes them */
	for (int fd = 0; fd < FDS; fd++)
		if (fd != pool->root->fd && fd != wake && fd != ended)
			close(fd);
	while (read(wake, &byte, 1) == 1) {
		for (struct request *q = pool->queue; q < pool->queue + QUEUE_MAX; q++) {
			uint64_t start;

			if (state_of(q) != SLOT_QUEUED || !take(q, self))
				continue;
			start = clock_us();
			q->error = q->reads ? read_value(pool->root, q->path, q->value) : sysfs_write(pool->root, q->path, q->value);
			q->us = (uint32_t)(clock_us() - start);
			set_state(q, SLOT_ENDED);
		}
		if (write(ended, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static int start_worker(struct pool *pool, struct worker *w)
{
	int wake[2], ended[2];

	/* a modprobe that hangs would keep workers waiting for what comes through them */
	if (pipe2(wake, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(ended, O_CLOEXEC) < 0) {
		int r = -errno;

		close(wake[0]);
		close(wake[1]);
		return r;
	}
	w->pid = fork();
	if (w->pid == 0)
		work(pool, wake[0], ended[1]);
	close(wake[0]);
	close(ended[1]);
	if (w->pid < 0) {
		int r = -errno;

		close(wake[1]);
		close(ended[0]);
		return r;
	}
	w->wake = wake[1];
	w->ended = ended[0];
	w->awake = w->stuck = false;
	pool->n++;
	return 0;
}

/* value: what to write, NULL to read */
static int put(struct pool *pool, int32_t task, const char *path, const char *value)
{
	struct request *q;

	if (strlen(path) >= sizeof(q->path) || (value && strlen(value) >= sizeof(q->value)))
		return -ENAMETOOLONG;
	if (!pool->queue) {
		void *queue = mmap(NULL, QUEUE_MAX * sizeof(*q), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (queue == MAP_FAILED)
			return -errno;
		pool->queue = queue;
	}
	/* the order is that of the places, as long as something is queued */
	if (pool->next == QUEUE_MAX && !find_state(pool, SLOT_QUEUED))
		pool->next = 0;
	while (pool->next < QUEUE_MAX && state_of(&pool->queue[pool->next]) != SLOT_FREE)
		pool->next++;
	if (pool->next == QUEUE_MAX)
		return -EBUSY;
	q = &pool->queue[pool->next++];
	q->task = task;
	q->reads = !value;
	strcpy(q->path, path);
	if (value)
		strcpy(q->value, value);
	set_state(q, SLOT_QUEUED);
	pool->tasks++;
	return 0;
}

int pool_write(struct pool *pool, int32_t task, const char *path, const char *value)
{
	return put(pool, task, path, value);
}

int pool_read(struct pool *pool, int32_t task, const char *path)
{
	/* the workers of a process are not its children's */
	if (pool->owner != getpid()) {
		pool_close(pool);
		pool->owner = getpid();
	}
	for (const struct request *q = pool->queue; pool->tasks > 0 && q < pool->queue + QUEUE_MAX; q++) {
		int state = state_of(q);

		if (state != SLOT_FREE && state != SLOT_ENDED && strcmp(q->path, path) == 0)
			return -EALREADY;
	}
	return put(pool, task, path, NULL);
}

bool pool_busy(const struct pool *pool)
{
	return pool->tasks > 0;
}

static void give_answer(struct pool *pool, struct request *q, struct answer *out)
{
	*out = (struct answer){ .task = q->task, .error = q->error, .us = q->us };
	memcpy(out->value, q->value, sizeof(out->value));
	set_state(q, SLOT_FREE);
	pool->tasks--;
}

static struct worker *find_worker(struct pool *pool, bool awake)
{
	for (size_t i = 0; i < pool->n; i++)
		if (pool->worker[i].awake == awake && !pool->worker[i].stuck)
			return &pool->worker[i];
	return NULL;
}

/* Have one more at the queue. 0, -EBUSY where there are as many as can be, or -errno. */
static int wake_worker(struct pool *pool)
{
	struct worker *w = find_worker(pool, false);
	void (*before)(int);
	int r;

	if (!w) {
		if (pool->n == WORKERS_MAX)
			return -EBUSY;
		w = &pool->worker[pool->n];
		r = start_worker(pool, w);
		if (r < 0)
			return r;
	}
	/* that it has died comes to light as it is waited for */
	before = signal(SIGPIPE, SIG_IGN);
	r = write(w->wake, "", 1) == 1 || errno == EPIPE ? 0 : -errno;
	signal(SIGPIPE, before);
	if (r < 0)
		return r;
	w->awake = true;
	return 0;
}

/* A worker that died, killed by someone: its write is lost, and so is it. */
static void bury(struct pool *pool, struct worker *w)
{
	struct request *q = find_state(pool, -(int)w->pid);

	if (q) {
		q->error = -EIO;
		q->us = 0;
		set_state(q, SLOT_ENDED);
	}
	close(w->wake);
	close(w->ended);
	*w = pool->worker[--pool->n];
}

/* Wait for a worker to come to the queue's end. 0 or -errno. */
static int wait_for_worker(struct pool *pool, unsigned timeout_ms)
{
	struct pollfd fds[WORKERS_MAX];
	int r;

	/* poll() passes over negative descriptors */
	for (size_t i = 0; i < pool->n; i++)
		fds[i] = (struct pollfd){ .fd = pool->worker[i].awake ? pool->worker[i].ended : -1, .events = POLLIN };
	r = poll(fds, pool->n, (int)timeout_ms);
	if (r <= 0)
		return r == 0 || errno == EINTR ? -ETIMEDOUT : -errno;
	/* from the end, as the last takes the place of one that is buried */
	for (size_t i = pool->n; i-- > 0;) {
		struct worker *w = &pool->worker[i];
		char byte;

		if (!fds[i].revents)
			continue;
		if (read(w->ended, &byte, 1) == 1)
			w->awake = w->stuck = false;
		else
			bury(pool, w);
	}
	return 0;
}

/*
 * Wait for a write to end. While what is next in the queue stays there, those
 * who are at it are all at writes that take their time, most of it asleep in
 * some driver's remove: one more worker makes them overlap. 0, -ETIMEDOUT or
 * -errno.
 */
static int wait_for_write(struct pool *pool, const struct request *queued, uint64_t deadline_us)
{
	uint64_t now = clock_us();
	unsigned left_ms = now < deadline_us ? (unsigned)((deadline_us - now + 999) / 1000) : 0, help_ms = 0;
	int r;

	/* the more are at it the longer, lest a machine that is slow itself gets many more processes */
	for (size_t i = 0; i < pool->n; i++)
		help_ms += pool->worker[i].awake ? HELP_MS : 0;
	if (!queued || left_ms <= help_ms)
		return wait_for_worker(pool, left_ms);
	r = wait_for_worker(pool, help_ms);
	if (r != -ETIMEDOUT)
		return r;
	if (find_state(pool, SLOT_QUEUED) == queued)
		wake_worker(pool);
	return 0;
}

int pool_wait(struct pool *pool, unsigned timeout_ms, struct answer *out)
{
	uint64_t deadline_us = clock_us() + timeout_ms * 1000ull;
	int r = 0;

	for (;;) {
		struct request *ended = find_state(pool, SLOT_ENDED), *queued = find_state(pool, SLOT_QUEUED);

		if (ended) {
			give_answer(pool, ended, out);
			return 0;
		}
		if (r < 0)
			return r;
		r = queued && !find_worker(pool, true) ? wake_worker(pool) : 0;
		if (r < 0 && r != -EBUSY && take(queued, SLOT_ENDED)) {
			queued->error = r;
			queued->us = 0;
			continue;
		}
		r = wait_for_write(pool, queued, deadline_us);
	}
}

bool pool_flows(const struct pool *pool)
{
	size_t waiting = pool->tasks;

	for (size_t i = 0; i < pool->n; i++)
		waiting -= pool->worker[i].stuck && find_state(pool, -(int)pool->worker[i].pid);
	return waiting > 0;
}

void pool_overtake(struct pool *pool)
{
	for (size_t i = 0; i < pool->n; i++)
		pool->worker[i].stuck = pool->worker[i].awake;
}

bool pool_cancel(struct pool *pool, int32_t *task)
{
	for (struct request *q = pool->queue; pool->tasks > 0 && q < pool->queue + QUEUE_MAX; q++) {
		struct answer answer;

		if (state_of(q) != SLOT_QUEUED || !take(q, SLOT_ENDED))
			continue;
		give_answer(pool, q, &answer);
		*task = answer.task;
		return true;
	}
	return false;
}

void pool_close(struct pool *pool)
{
	for (size_t i = 0; i < pool->n; i++) {
		close(pool->worker[i].wake);
		close(pool->worker[i].ended);
	}
	if (pool->queue)
		munmap(pool->queue, QUEUE_MAX * sizeof(*pool->queue));
	*pool = (struct pool){ .root = pool->root };
}

int child_start(struct child *out, void (*run)(void *ctx, void *result), void *ctx, size_t size)
{
	unsigned char result[RESULT_MAX];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	out->pid = fork();
	if (out->pid == 0) {
		close(ends[0]);
		run(ctx, result);
		_exit(write(ends[1], result, size) == (ssize_t)size ? 0 : 1);
	}
	close(ends[1]);
	out->result = ends[0];
	if (out->pid < 0) {
		int r = -errno;

		close(ends[0]);
		return r;
	}
	return 0;
}

int child_end(struct child *child, unsigned timeout_ms, void *result, size_t size)
{
	struct pollfd end = { .fd = child->result, .events = POLLIN };
	uint64_t deadline_us = clock_us() + timeout_ms * 1000ull;
	int n;

	do {
		uint64_t now = clock_us();

		n = poll(&end, 1, now < deadline_us ? (int)((deadline_us - now + 999) / 1000) : 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		n = read(child->result, result, size) == (ssize_t)size ? 0 : -ECHILD;
	else
		n = -ETIMEDOUT;
	close(child->result);
	return n;
}

int child_any(const struct child *child, size_t n, unsigned timeout_ms)
{
	struct pollfd *ends = calloc(n + 1, sizeof(*ends));
	int found = -ETIMEDOUT;

	for (size_t i = 0; ends && i < n; i++)
		ends[i] = (struct pollfd){ .fd = child[i].result, .events = POLLIN };
	if (ends && poll(ends, n, (int)timeout_ms) > 0)
		for (size_t i = 0; i < n && found < 0; i++)
			if (ends[i].revents)
				found = (int)i;
	free(ends);
	return found;
}
