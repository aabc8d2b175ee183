/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTECT_H
#define PROTECT_H

#include "preclaim.h"
#include "sysfs.h"
#include "text.h"

/* What there is to say of a search. */
struct protects {
	char (*warning)[WARNING_SIZE];	/* ways that could not be followed to their end: "/: cannot follow ..." */
	size_t warnings;
	char unread[WARNING_SIZE];	/* the path whose error has ended the search, if one has */
};

/*
 * Find what the machine needs of its PCI functions, and note it in the
 * devices: what carries a file system that is mounted from a block device
 * (proc/self/mountinfo) or that etc/fstab mounts at boot, what etc/crypttab
 * opens, swap (proc/swaps), the device to resume from (sys/power/resume,
 * resume= of proc/cmdline, etc/initramfs-tools/conf.d/resume), the members of
 * volumes and arrays (sys/class/block/.../holders) and of ZFS pools
 * (proc/spl/kstat/zfs), and the default routes (proc/net/route,
 * proc/net/ipv6_route). Where a way ends, its class of devices is unknown; a
 * device of fstab or crypttab that is not there and may be missing (nofail) is
 * only warned of. Nothing is found, and nothing warned of, without PCI
 * functions and of a file that is not there; in an initramfs (rootfs is on /)
 * only what is in use already is found. strict: a file that cannot be read ends the search, else it is a way
 * that ends. 0, or -errno and in unread which path that was of; give what is
 * in out to protect_free().
 */
int protect_find(const struct root *root, struct devices *devices, bool strict, struct protects *out);
void protect_free(struct protects *protects);

/*
 * Note that a device carries something: "/boot", or as a fact of an image has
 * it "/, /boot, swap". What is noted already isn't again; what has no room is
 * "...".
 */
void protect_add(struct device *d, const char *what);

#endif
