/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MODULE_H
#define MODULE_H

#include <sys/types.h>

#include "sysfs.h"

/* A modprobe under way. */
struct modprobe {
	pid_t pid;
	int end;	/* a pipe that it closes by ending */
};

/*
 * Have modprobe (kmod's or busybox's) begin to load a module. 0, -ENOENT where
 * there is no modprobe, -EPERM where the root is not the system's, or -errno.
 */
int module_start(struct modprobe *out, const struct root *root, const char *name);

/* Wait for it that many milliseconds: its exit status, -ETIMEDOUT while it runs, or -errno. */
int module_wait(struct modprobe *modprobe, unsigned timeout_ms);

/* No more waiting for it; one that still runs goes on by itself. */
void module_end(struct modprobe *modprobe);

#endif
