// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes that may block. A driver's probe, remove or sriov_configure runs
 * inside the write(2) that asks for it, and may take seconds or never end; so
 * they are made by children, and a child that hangs is abandoned.
 */
#include "work.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

enum { FDS = 2 * WORKERS_MAX + 32 };	/* more than we ever have open */

/* Smaller than PIPE_BUF, so that a pipe carries it whole or not at all. */
struct request {
	int32_t task;
	char path[PATH_SIZE];
	char value[VALUE_SIZE];
};

struct pool pool_new(const struct root *root)
{
	/* an answer to a run that has ended must not kill the worker before its other writes */
	signal(SIGPIPE, SIG_IGN);
	return (struct pool){ .root = root };
}

/* The child: until the pipe is closed. Whoever waits for our output must not wait for a write that hangs. */
static _Noreturn void work(const struct root *root, int requests, int answers)
{
	struct request q;

	/* nor may the pipes of the others stay open when the parent closes them */
	for (int fd = 0; fd < FDS; fd++)
		if (fd != root->fd && fd != requests && fd != answers)
			close(fd);
	while (read(requests, &q, sizeof(q)) == (ssize_t)sizeof(q)) {
		uint64_t start = clock_us();
		struct answer a = { .task = q.task, .error = sysfs_write(root, q.path, q.value) };

		a.us = (uint32_t)(clock_us() - start);
		if (write(answers, &a, sizeof(a)) != (ssize_t)sizeof(a))
			break;
	}
	_exit(0);
}

static int start_worker(struct pool *pool, struct worker *w)
{
	int requests[2], answers[2];

	if (pipe(requests) < 0)
		return -errno;
	if (pipe(answers) < 0) {
		int r = -errno;

		close(requests[0]);
		close(requests[1]);
		return r;
	}
	w->pid = fork();
	if (w->pid == 0)
		work(pool->root, requests[0], answers[1]);
	close(requests[0]);
	close(answers[1]);
	if (w->pid < 0) {
		int r = -errno;

		close(requests[1]);
		close(answers[0]);
		return r;
	}
	w->requests = requests[1];
	w->answers = answers[0];
	w->task = -1;
	pool->n++;
	return 0;
}

int pool_write(struct pool *pool, int32_t task, const char *path, const char *value)
{
	struct request q = { .task = task };
	struct worker *w = NULL;

	if (strlen(path) >= sizeof(q.path) || strlen(value) >= sizeof(q.value))
		return -ENAMETOOLONG;
	strcpy(q.path, path);
	strcpy(q.value, value);
	for (size_t i = 0; i < pool->n && !w; i++)
		if (pool->worker[i].task < 0)
			w = &pool->worker[i];
	if (!w) {
		int r;

		if (pool->n == WORKERS_MAX)
			return -EBUSY;
		w = &pool->worker[pool->n];
		r = start_worker(pool, w);
		if (r < 0)
			return r;
	}
	if (write(w->requests, &q, sizeof(q)) != (ssize_t)sizeof(q))
		return errno == EPIPE ? -EIO : -errno;
	w->task = task;
	return 0;
}

bool pool_busy(const struct pool *pool)
{
	for (size_t i = 0; i < pool->n; i++)
		if (pool->worker[i].task >= 0)
			return true;
	return false;
}

int pool_wait(struct pool *pool, unsigned timeout_ms, struct answer *out)
{
	struct pollfd fds[WORKERS_MAX];
	int r;

	/* poll() passes over negative descriptors */
	for (size_t i = 0; i < pool->n; i++)
		fds[i] = (struct pollfd){ .fd = pool->worker[i].task < 0 ? -1 : pool->worker[i].answers, .events = POLLIN };
	r = poll(fds, pool->n, (int)timeout_ms);
	if (r <= 0)
		return r == 0 || errno == EINTR ? -ETIMEDOUT : -errno;
	for (size_t i = 0; i < pool->n; i++) {
		struct worker *w = &pool->worker[i];

		if (!fds[i].revents)
			continue;
		/* a worker that died, killed by someone: its write is lost, and so is it */
		if (read(w->answers, out, sizeof(*out)) != (ssize_t)sizeof(*out)) {
			*out = (struct answer){ .task = w->task, .error = -EIO };
			close(w->requests);
			close(w->answers);
			*w = pool->worker[--pool->n];
			return 0;
		}
		w->task = -1;
		return 0;
	}
	return -ETIMEDOUT;
}

void pool_close(struct pool *pool)
{
	for (size_t i = 0; i < pool->n; i++) {
		close(pool->worker[i].requests);
		close(pool->worker[i].answers);
	}
	pool->n = 0;
}

int child_start(struct child *out, void (*run)(void *ctx, void *result), void *ctx, size_t size)
{
	unsigned char result[RESULT_MAX];
	int ends[2];

	if (pipe(ends) < 0)
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
