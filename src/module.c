// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads modules by way of modprobe, which knows dependencies, options,
 * softdeps and compression. Nothing here looks into a module.
 */
#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preclaim.h"

extern char **environ;

/* The path of modprobe as exec needs it, or false where there is none. */
static bool find_modprobe(const struct root *root, char *out, size_t size)
{
	static const char *const paths[] = { "sbin/modprobe", "usr/sbin/modprobe", "bin/modprobe", "usr/bin/modprobe" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (sysfs_exists(root, paths[i]))
			return (size_t)snprintf(out, size, "%s/%s", root->path, paths[i]) < size;
	return false;
}

int module_start(struct modprobe *out, const struct root *root, const char *name)
{
	char path[PATH_SIZE];
	const char *argv[] = { "modprobe", "-q", name, NULL };
	int ends[2];

	if (!root->is_system)
		return -EPERM;
	if (!find_modprobe(root, path, sizeof(path)))
		return -ENOENT;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	out->pid = fork();
	if (out->pid == 0) {
		/* nothing else of ours is left open in it */
		if (dup(ends[1]) >= 0)
			execve(path, (char **)argv, environ);
		_exit(127);
	}
	close(ends[1]);
	out->end = ends[0];
	if (out->pid < 0) {
		int r = -errno;

		close(out->end);
		return r;
	}
	return 0;
}

int module_wait(struct modprobe *modprobe, unsigned timeout_ms)
{
	struct pollfd end = { .fd = modprobe->end, .events = POLLIN };
	int status, r = poll(&end, 1, (int)timeout_ms);

	if (r <= 0)
		return r == 0 || errno == EINTR ? -ETIMEDOUT : -errno;
	if (waitpid(modprobe->pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void module_end(struct modprobe *modprobe)
{
	close(modprobe->end);
}
