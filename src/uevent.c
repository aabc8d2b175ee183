// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Says when something about any device has changed, so that waiting needs no
 * polling. What has changed is asked of sysfs, so no event is ever parsed and
 * none can lie (kobject_uevent_net_broadcast() in lib/kobject_uevent.c).
 */
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int uevent_open(void)
{
	const struct sockaddr_nl kernel_events = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&kernel_events, sizeof(kernel_events)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int uevent_wait(int fd, unsigned timeout_ms)
{
	struct pollfd events = { .fd = fd, .events = POLLIN };
	char event[64];
	int r = poll(&events, 1, (int)timeout_ms);

	if (r <= 0)
		return r == 0 || errno == EINTR ? -ETIMEDOUT : -errno;
	while (recv(fd, event, sizeof(event), 0) >= 0 || errno == ENOBUFS)
		;
	return 0;
}
