/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROTECT_H
#define PROTECT_H

#include "preclaim.h"
#include "sysfs.h"
#include "text.h"

enum { WARNING_SIZE = 256 };

/* What the running machine needs of its PCI functions. */
struct protects {
	uint16_t *carries;	/* one a device: a bit for each thing that it carries, for protect_text(); 0: nothing */
	char (*warning)[WARNING_SIZE];	/* ways that could not be followed to their end: "/: cannot follow ..." */
	size_t warnings;
	char unread[WARNING_SIZE];	/* the path whose error has ended the search, if one has */
};

/*
 * Find what carries /, /usr, /boot and /boot/efi (proc/self/mountinfo), swap
 * (proc/swaps), the device to resume from (sys/power/resume, resume= of
 * proc/cmdline) and the default routes (proc/net/route, proc/net/ipv6_route).
 * Nothing is found, and nothing warned of, without PCI functions, in an
 * initramfs (rootfs is on /), and of a file that is not there. in_use: find
 * also what else is mounted, or a member of a volume or array that is there
 * (sys/class/block/.../holders). 0, or -errno and in unread which path that
 * was of; give what it found to protect_free().
 */
int protect_find(const struct root *root, const struct devices *devices, bool in_use, struct protects *out);
void protect_free(struct protects *protects);

enum { PROTECT_ROOT = 1 };	/* the bit of / */

/* Append what a device carries: "/, /boot, swap". */
void protect_text(uint16_t carries, struct text *t);

/* The reverse. A text without a word that it knows means something too. */
uint16_t protect_parse(struct str text);

#endif
