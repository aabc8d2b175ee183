/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UEVENT_H
#define UEVENT_H

/* Listen to the kernel's own uevents from now on. A file descriptor to close, or -errno. */
int uevent_open(void);

/* Wait that many milliseconds for one or more of them. 0 when there were, -ETIMEDOUT, or -errno. */
int uevent_wait(int fd, unsigned timeout_ms);

#endif
