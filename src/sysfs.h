/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYSFS_H
#define SYSFS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The directory that stands for "/": all paths below are relative to it
 * ("sys/bus/pci/devices"). Any but "/" itself is a world of its own: absolute
 * links in it begin there, none leads out of it, and nothing of it is run. That
 * holds for a tree that nobody changes meanwhile.
 */
struct root {
	int fd;
	const char *path;	/* as given: of one that was entered, relative to the one above */
	const struct root *above;	/* from where it was entered, NULL at the top */
	bool is_system;		/* "/", the system that we run on */
};

/* Open the directory. 0 or -errno. */
int sysfs_open(struct root *root, const char *path);

/*
 * A directory below another, as a root of its own, for who reads much in it:
 * most of an access is the way there. root and dir are needed as long as it
 * is. 0 or -errno; give it to sysfs_leave().
 */
int sysfs_enter(const struct root *root, const char *dir, struct root *out);
void sysfs_leave(const struct root *root);

/* The same for a directory to make files in, which is made where it is missing (mode 0755); no link is followed. */
int sysfs_make(const struct root *root, const char *dir, struct root *out);

/* Have an empty file (mode 0644) of this name. 0 or -errno. */
int sysfs_touch(const struct root *root, const char *name);

/* Call each(ctx, name) for every entry but "." and "..", until it returns non-zero. That, 0 or -errno. */
int sysfs_list(const struct root *root, const char *dir, int (*each)(void *ctx, const char *name), void *ctx);

/*
 * Read an attribute into buf of size bytes and terminate it. Its length, or
 * -errno; -EFBIG where it does not fit. A show() never fills more than a page
 * (Documentation/filesystems/sysfs.rst).
 */
int sysfs_read(const struct root *root, const char *path, char *buf, size_t size);

/* Read a whole file of up to 4 MiB into memory that the caller frees; terminated, *len without the NUL. 0 or -errno. */
int sysfs_read_all(const struct root *root, const char *path, char **data, size_t *len);

/*
 * Write a value to an attribute: in one write(2), since the kernel takes each
 * as a value of its own. Nothing is created. 0 or -errno; -EIO if it was taken
 * only in part.
 */
int sysfs_write(const struct root *root, const char *path, const char *value);

/* The last component of a link's target, or all of it, into buf. 0 or -errno; -ENAMETOOLONG where it does not fit. */
int sysfs_link(const struct root *root, const char *path, char *buf, size_t size);
int sysfs_link_whole(const struct root *root, const char *path, char *buf, size_t size);

/* Whether there is something at the path. */
bool sysfs_exists(const struct root *root, const char *path);

/* Whether the path can be written to: 0 or -errno (-EACCES without permission, -EROFS on a read-only sysfs). */
int sysfs_may_write(const struct root *root, const char *path);

/* Whether the path can be opened for reading and writing; it is closed again. 0, -EBUSY where someone else has it, or -errno. */
int sysfs_try(const struct root *root, const char *path);

/* Append one record to a device or file that is there, in one write(2). 0 or -errno. */
int sysfs_append(const struct root *root, const char *path, const char *record, size_t len);

/*
 * Make or replace the file dir/name as a whole: readers see the old or the
 * new one. The directory is made (mode 0755), the file has mode 0644. 0 or
 * -errno.
 */
int sysfs_replace(const struct root *root, const char *dir, const char *name, const char *data, size_t len);

/* Open the lock file dir/name, made where missing. A descriptor, which children share, or -errno. */
int sysfs_lock_file(const struct root *root, const char *dir, const char *name);

/*
 * Hold it against other runs until sysfs_unlock() by this process or any that
 * shares the descriptor (flock(2)). 0, -EWOULDBLOCK while another run holds
 * it, or -errno.
 */
int sysfs_lock(int file);
void sysfs_unlock(int file);

#endif
